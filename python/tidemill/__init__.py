"""Python's side of Tidemill: the look-alike of `airflow`, the processes that load DAG files and run their tasks."""
