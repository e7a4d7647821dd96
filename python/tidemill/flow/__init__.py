"""What DAG files import as `airflow`: modules.py maps its import paths to the objects defined in this package."""
