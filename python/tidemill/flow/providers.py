"""Providers that Tidemill brings: HTTP, Kafka and Cassandra bound to its own doors, SQLite; the rest are stand-ins (modules.py)."""
import json

from tidemill.flow import sensors, stores
from tidemill.flow.errors import AirflowException
from tidemill.flow.nodes import BaseOperator


class HttpHook(stores.BaseHook):
    conn_name_attr, default_conn_name, conn_type = "http_conn_id", "http_default", "http"

    def __init__(self, method="POST", http_conn_id="http_default", auth_type=None, **kw):
        super().__init__()
        self.method, self.http_conn_id = method.upper(), http_conn_id

    def get_conn(self, headers=None):
        import requests
        c = stores.connection(self.http_conn_id)
        session = requests.Session()
        host = c.host or ""
        self.base_url = host if "://" in host else f"{c.schema or 'http'}://{host}"
        if c.port:
            self.base_url += f":{c.port}"
        if c.login:
            session.auth = (c.login, c.password or "")
        session.headers.update({k: str(v) for k, v in c.extra_dejson.items() if not isinstance(v, (dict, list))})
        session.headers.update(headers or {})
        return session

    def run(self, endpoint=None, data=None, headers=None, extra_options=None, json=None, **kw):  # noqa: A002
        session = self.get_conn(headers)
        url = endpoint if endpoint and "://" in endpoint else self.base_url.rstrip("/") + "/" + (endpoint or "").lstrip("/")
        body = {"params": data} if self.method == "GET" else {"data": data, "json": json}
        options = dict(extra_options or {})
        check = options.pop("check_response", True)
        response = session.request(self.method, url, **body, timeout=options.get("timeout", 60), verify=options.get("verify", True))
        if check and not response.ok:
            raise AirflowException(f"{response.status_code}:{response.reason}")
        return response


class HttpOperator(BaseOperator):
    template_fields = ("endpoint", "data", "headers")
    template_ext = ()
    ui_color = "#f4a460"

    def __init__(self, *, endpoint=None, method="POST", data=None, headers=None, response_check=None, response_filter=None, extra_options=None, http_conn_id="http_default",
                 log_response=False, pagination_function=None, auth_type=None, deferrable=False, **kwargs):
        super().__init__(**kwargs)
        self.endpoint, self.method, self.data, self.headers = endpoint, method, data or {}, headers or {}
        self.response_check, self.response_filter, self.extra_options = response_check, response_filter, extra_options or {}
        self.http_conn_id, self.log_response = http_conn_id, log_response

    def execute(self, context):
        response = HttpHook(self.method, self.http_conn_id).run(self.endpoint, self.data, self.headers, self.extra_options)
        if self.log_response:
            self.log.info(response.text)
        if self.response_check and not self.response_check(response):
            raise AirflowException("Response check returned False.")
        return self.response_filter(response) if self.response_filter else response.text


class SimpleHttpOperator(HttpOperator):
    pass


class HttpSensor(sensors.BaseSensorOperator):
    template_fields = ("endpoint", "request_params", "headers")

    def __init__(self, *, endpoint, http_conn_id="http_default", method="GET", request_params=None, headers=None, response_check=None, extra_options=None, **kwargs):
        super().__init__(**kwargs)
        self.endpoint, self.http_conn_id, self.method, self.request_params = endpoint, http_conn_id, method, request_params or {}
        self.headers, self.response_check, self.extra_options = headers or {}, response_check, extra_options or {}

    def poke(self, context):
        try:
            response = HttpHook(self.method, self.http_conn_id).run(self.endpoint, self.request_params, self.headers, self.extra_options)
        except AirflowException as e:
            if str(e).startswith("404"):
                return False
            raise
        return bool(self.response_check(response)) if self.response_check else True


class KafkaHook(stores.BaseHook):
    conn_name_attr, default_conn_name, conn_type = "kafka_config_id", "kafka_default", "kafka"

    def __init__(self, kafka_config_id="kafka_default", *args, **kwargs):
        super().__init__()
        self.kafka_config_id = kafka_config_id

    def config(self):
        try:
            extra = stores.connection(self.kafka_config_id).extra_dejson
        except AirflowException:
            extra = {}
        return {"bootstrap.servers": "localhost:9092", **extra}

    def get_producer(self):
        from confluent_kafka import Producer
        return Producer({k: v for k, v in self.config().items() if k not in ("group.id", "auto.offset.reset", "enable.auto.commit")})

    def get_consumer(self):
        from confluent_kafka import Consumer
        return Consumer({"group.id": "tidemill", "auto.offset.reset": "earliest", **self.config()})

    def get_conn(self):
        from confluent_kafka.admin import AdminClient
        return AdminClient({"bootstrap.servers": self.config()["bootstrap.servers"]})


class ProduceToTopicOperator(BaseOperator):
    template_fields = ("topic", "producer_function_args", "producer_function_kwargs", "kafka_config_id")

    def __init__(self, topic, producer_function, kafka_config_id="kafka_default", producer_function_args=None, producer_function_kwargs=None, delivery_callback=None, synchronous=True,
                 poll_timeout=0, **kwargs):
        super().__init__(**kwargs)
        self.topic, self.producer_function, self.kafka_config_id = topic, producer_function, kafka_config_id
        self.producer_function_args, self.producer_function_kwargs = producer_function_args or (), producer_function_kwargs or {}
        self.synchronous = synchronous

    def execute(self, context):
        from tidemill.flow.modules import _import_string
        producer = KafkaHook(self.kafka_config_id).get_producer()
        f = _import_string(self.producer_function) if isinstance(self.producer_function, str) else self.producer_function
        failures = []
        for key, value in f(*self.producer_function_args, **self.producer_function_kwargs):
            producer.produce(self.topic, key=key, value=value, on_delivery=lambda err, _: failures.append(err) if err else None)
            producer.poll(0)
            if self.synchronous:
                producer.flush()
        producer.flush()
        if failures:
            raise AirflowException(f"{len(failures)} messages were not delivered: {failures[0]}")


class CassandraHook(stores.BaseHook):
    conn_name_attr, default_conn_name, conn_type = "cassandra_conn_id", "cassandra_default", "cassandra"

    def __init__(self, cassandra_conn_id="cassandra_default"):
        super().__init__()
        self.cassandra_conn_id, self.cluster, self.session = cassandra_conn_id, None, None

    def get_cluster(self):
        from cassandra.cluster import Cluster
        try:
            c = stores.connection(self.cassandra_conn_id)
        except AirflowException:
            c = stores.Connection(host="localhost", port=9042)
        self.keyspace = c.schema
        self.cluster = self.cluster or Cluster((c.host or "localhost").split(","), port=c.port or 9042)
        return self.cluster

    def get_conn(self):
        if self.session is None:
            self.session = self.get_cluster().connect(self.keyspace or None)
        return self.session

    def shutdown_cluster(self):
        if self.cluster is not None:
            self.cluster.shutdown()

    def table_exists(self, table):
        keyspace, _, name = table.rpartition(".")
        self.get_conn()
        return name in self.cluster.metadata.keyspaces.get(keyspace or self.keyspace).tables


class SqliteHook(stores.BaseHook):
    conn_name_attr, default_conn_name, conn_type = "sqlite_conn_id", "sqlite_default", "sqlite"

    def __init__(self, *args, sqlite_conn_id="sqlite_default", **kw):
        super().__init__()
        self.sqlite_conn_id = args[0] if args else sqlite_conn_id

    def get_conn(self):
        import sqlite3
        return sqlite3.connect(stores.connection(self.sqlite_conn_id).host or ":memory:")

    def run(self, sql, autocommit=False, parameters=None, handler=None, **_):
        with self.get_conn() as c:
            results = [c.execute(s, parameters or ()) for s in ([sql] if isinstance(sql, str) else sql)]
            return handler(results[-1]) if handler else None

    def get_records(self, sql, parameters=None):
        with self.get_conn() as c:
            return c.execute(sql, parameters or ()).fetchall()

    def get_first(self, sql, parameters=None):
        rows = self.get_records(sql, parameters)
        return rows[0] if rows else None


def table():
    http = {"HttpOperator": HttpOperator, "SimpleHttpOperator": SimpleHttpOperator, "HttpHook": HttpHook, "HttpSensor": HttpSensor, "json": json}
    kafka = {"ProduceToTopicOperator": ProduceToTopicOperator, "KafkaProducerHook": KafkaHook, "KafkaConsumerHook": KafkaHook, "KafkaAdminClientHook": KafkaHook, "KafkaBaseHook": KafkaHook}
    names = {"airflow.providers.http.operators.http": http, "airflow.providers.http.hooks.http": http, "airflow.providers.http.sensors.http": http, "airflow.operators.http_operator": http,
             "airflow.sensors.http_sensor": http, "airflow.hooks.http_hook": http, "airflow.providers.apache.kafka.operators.produce": kafka, "airflow.providers.apache.kafka.hooks.produce": kafka,
             "airflow.providers.apache.kafka.hooks.consume": kafka, "airflow.providers.apache.kafka.hooks.client": kafka, "airflow.providers.apache.kafka.hooks.base": kafka,
             "airflow.providers.apache.cassandra.hooks.cassandra": {"CassandraHook": CassandraHook}, "airflow.contrib.hooks.cassandra_hook": {"CassandraHook": CassandraHook},
             "airflow.providers.sqlite.hooks.sqlite": {"SqliteHook": SqliteHook}, "airflow.hooks.sqlite_hook": {"SqliteHook": SqliteHook}}
    out = dict(names)
    for name in names:
        while "." in name:
            name = name.rpartition(".")[0]
            if name.startswith("airflow.providers."):
                out.setdefault(name, {})
    return out
