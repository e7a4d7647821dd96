# Airflow's official image, and what the examples' DAG files import besides Airflow.
FROM apache/airflow:3.3.2
RUN pip install --no-cache-dir "apache-airflow==${AIRFLOW_VERSION}" kafka-python==2.2.15 requests
