"""The set airflow/retry: see airflow_rules.py."""
from airflow_rules import run_retry as run  # noqa: F401
