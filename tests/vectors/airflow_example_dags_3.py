"""The set airflow/example_dags_3: see airflow_example_dags.py."""
from airflow_example_dags import run  # noqa: F401
