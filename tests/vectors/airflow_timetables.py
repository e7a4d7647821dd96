"""The set airflow/timetables: see airflow_rules.py."""
from airflow_rules import run_timetables as run  # noqa: F401
