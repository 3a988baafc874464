"""What Airflow needs of steel-training: operators that run a stage in a child process, the params form, links."""
