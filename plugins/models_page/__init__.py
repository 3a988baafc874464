"""The models page in the Airflow UI: versions, verdicts and files of the store, behind Airflow's login."""
