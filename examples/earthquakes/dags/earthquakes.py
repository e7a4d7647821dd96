"""Earthquakes of the past week: from the U.S. Geological Survey's API to the topic `earthquakes`."""
import json
import logging
from datetime import datetime, timedelta

from airflow import DAG

try:
    from airflow.providers.standard.operators.python import PythonOperator
except ImportError:  # Airflow 2 without the provider
    from airflow.operators.python import PythonOperator


def publish(ti, **context):
    from kafka import KafkaProducer

    from feed import fetch

    # The feed is always a whole week: only what is new or was changed since the last run goes on.
    since = ti.xcom_pull(task_ids="publish", key="updated", include_prior_dates=True) or 0
    events = [event for event in fetch() if event["properties"]["updated"] > since]
    producer = KafkaProducer(
        bootstrap_servers=["broker:29092"],
        key_serializer=str.encode,
        value_serializer=lambda event: json.dumps(event).encode("utf-8"),
        acks="all",
    )
    for event in events:
        producer.send("earthquakes", key=event["id"], value=event)
    producer.flush()
    producer.close()
    ti.xcom_push(key="updated", value=max([since] + [event["properties"]["updated"] for event in events]))
    logging.info("sent %d events", len(events))
    return len(events)


with DAG(
    dag_id="earthquakes",
    description="Earthquakes of the past week, from the API to a topic",
    schedule="@hourly",
    start_date=datetime(2024, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "seismology", "retries": 2, "retry_delay": timedelta(seconds=30)},
    tags=["example"],
) as dag:
    PythonOperator(task_id="publish", python_callable=publish)
