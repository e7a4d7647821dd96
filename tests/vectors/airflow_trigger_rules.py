"""The set airflow/trigger_rules: see airflow_rules.py."""
from airflow_rules import run_trigger_rules as run  # noqa: F401
