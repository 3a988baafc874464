"""The page of models in the Airflow UI: versions, verdicts and files of the store, behind Airflow's own login."""
