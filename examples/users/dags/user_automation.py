import json
import logging
import time
import uuid
from datetime import datetime

from airflow import DAG
from airflow.operators.python import PythonOperator

default_args = {
    'owner': 'airscholar',
    'start_date': datetime(2023, 9, 3, 10, 00)
}


def get_data():
    from people import get

    return get()['results'][0]


def format_data(res):
    location = res['location']
    return {
        'id': str(uuid.uuid4()),
        'first_name': res['name']['first'],
        'last_name': res['name']['last'],
        'gender': res['gender'],
        'address': f"{location['street']['number']} {location['street']['name']}, "
                   f"{location['city']}, {location['state']}, {location['country']}",
        'post_code': location['postcode'],
        'email': res['email'],
        'username': res['login']['username'],
        'dob': res['dob']['date'],
        'registered_date': res['registered']['date'],
        'phone': res['phone'],
        'picture': res['picture']['medium'],
    }


def stream_data():
    import os

    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=['broker:29092'], max_block_ms=5000)
    started = time.time()
    seconds = float(os.environ.get('USERS_SECONDS', '60'))
    limit = int(os.environ.get('USERS_COUNT', '50'))
    sent = 0

    while sent < limit and time.time() < started + seconds:
        try:
            user = format_data(get_data())
            producer.send('users_created', json.dumps(user).encode('utf-8'))
            sent += 1
        except Exception as e:
            logging.error(f'An error occurred: {e}')
            continue
    producer.flush()
    logging.info('sent %d users', sent)


with DAG('user_automation',
         default_args=default_args,
         schedule='@daily',
         catchup=False) as dag:

    streaming_task = PythonOperator(
        task_id='stream_data_from_api',
        python_callable=stream_data
    )
