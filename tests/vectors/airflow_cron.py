"""The set airflow/cron: see airflow_rules.py."""
from airflow_rules import run_cron as run  # noqa: F401
