"""kill -9 of the whole program at random moments, while a producer, the pipelines and a DAG are busy.

Afterwards: every record that was acknowledged is in its topic once; the tables are what a clean run over that topic gives; the topic
that a pipeline writes has every record once; every DAG run ended, and no task ran again that had reported its end.
TM_CRASH_ROUNDS sets the number of kills (20)."""
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
import urllib.error

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))
from instance import Instance, up_until_idle  # noqa: E402

kafka = pytest.importorskip("kafka")
ROUNDS = int(os.environ.get("TM_CRASH_ROUNDS", "20"))
BUCKETS = 7

TABLES = """
CREATE KEYSPACE IF NOT EXISTS k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};
CREATE TABLE IF NOT EXISTS k.events (id text PRIMARY KEY, bucket int, v bigint);
CREATE TABLE IF NOT EXISTS k.counts (bucket int PRIMARY KEY, n bigint, total bigint);
"""
PIPELINE = """
CREATE TEMPORARY VIEW raw USING kafka OPTIONS (subscribe 'events', startingOffsets 'earliest');
CREATE TEMPORARY VIEW events AS
  SELECT e.* FROM (SELECT from_json(CAST(value AS STRING), 'id STRING, bucket INT, v BIGINT') AS e FROM STREAM raw);
CREATE STREAMING TABLE events_table USING cassandra OPTIONS (keyspace 'k', table 'events') AS SELECT id, bucket, v FROM STREAM events;
CREATE STREAMING TABLE counts USING cassandra OPTIONS (keyspace 'k', table 'counts', outputMode 'update') AS
  SELECT bucket, count(*) AS n, sum(v) AS total FROM STREAM events GROUP BY bucket;
CREATE STREAMING TABLE echo USING kafka OPTIONS (topic 'echo') AS SELECT id AS key, CAST(v AS STRING) AS value FROM STREAM events;
"""
DAG = """
import os
from datetime import datetime
from airflow import DAG
from airflow.operators.python import PythonOperator

def note(word, ti, run_id):
    with open(os.environ["LEDGER"], "a") as f:
        f.write("%s %s %s\\n" % (word, run_id, ti.task_id))
        f.flush()
        os.fsync(f.fileno())

def work(ti, run_id, **_):
    import time
    note("start", ti, run_id)
    time.sleep(0.02)
    note("end", ti, run_id)

with DAG("busy", start_date=datetime(2024, 1, 1), schedule=None, catchup=False, max_active_runs=50, default_args={"retries": 100, "retry_delay": 0}) as dag:
    tasks = [PythonOperator(task_id="t%d" % i, python_callable=work) for i in range(3)]
    tasks[0] >> tasks[1] >> tasks[2]
"""


def make_project(folder):
    for sub, name, text in (("tables", "k.cql", TABLES), ("pipelines", "p.sql", PIPELINE), ("dags", "busy.py", DAG)):
        os.makedirs(os.path.join(folder, sub))
        with open(os.path.join(folder, sub, name), "w") as f:
            f.write(text)


class Producer(threading.Thread):
    """Sends records one try each; `acked` are those that the broker acknowledged."""

    def __init__(self, port, first):
        super().__init__(daemon=True)
        self.port, self.next, self.acked, self.stop = port, first, [], False

    def run(self):
        try:
            producer = kafka.KafkaProducer(bootstrap_servers="127.0.0.1:%d" % self.port, acks="all", retries=0, linger_ms=1, max_block_ms=3000,
                                           value_serializer=lambda v: json.dumps(v).encode())
        except Exception:
            return
        pending = []
        while not self.stop:
            for _ in range(50):
                n, self.next = self.next, self.next + 1
                try:
                    pending.append((n, producer.send("events", {"id": "e%d" % n, "bucket": n % BUCKETS, "v": n})))
                except Exception:
                    self.stop = True
            for n, future in pending:
                try:
                    future.get(timeout=0 if self.stop else 1)
                    self.acked.append(n)
                except Exception:
                    pass
            pending = []
        try:
            producer.close(timeout=0)
        except Exception:
            pass


def ended_tasks(instance):
    """(run, task) -> try number, of tasks that are reported as successful."""
    done = {}
    for run in instance.get("/api/dags/busy/runs?limit=1000"):
        detail = instance.get("/api/dags/busy/runs/" + run["run_id"])
        for t in detail.get("task_instances") or detail["tasks"]:
            if t["state"] == "success":
                done[(run["run_id"], t["task_id"])] = t["try_number"]
    return done


def ends(ledger):
    """(run, task) -> how often it came to its end. A try that was killed between its end and its report comes again; one that was
    reported must not."""
    counts = {}
    if os.path.exists(ledger):
        with open(ledger) as f:
            for line in f:
                word, run, task = line.split()
                if word == "end":
                    counts[(run, task)] = counts.get((run, task), 0) + 1
    return counts


@pytest.mark.once
def test_nothing_lost_nothing_twice():
    folder = tempfile.mkdtemp(prefix="tm-crash-")
    project, data, ledger = os.path.join(folder, "project"), os.path.join(folder, "data"), os.path.join(folder, "ledger")
    os.makedirs(data)
    make_project(project)
    rng = random.Random(int(os.environ.get("TM_SEED", time.time())))
    acked, next_id, reported, runs = set(), 0, {}, 0
    try:
        for _ in range(ROUNDS):
            instance = Instance(project, data=data, LEDGER=ledger).start()
            producer = Producer(instance.kafka, next_id)
            producer.start()
            try:
                instance.wait(lambda: instance.get("/api/dags"))
                for _ in range(3):
                    instance.post("/api/dags/busy/trigger", {"conf": {}, "run_id": "r%d" % runs})
                    runs += 1
                time.sleep(rng.uniform(0.05, 0.9))
                ended = ended_tasks(instance)
                runs_of = ends(ledger)
                reported.update((k, (tries, runs_of[k])) for k, tries in ended.items())
            except (urllib.error.URLError, ConnectionError):
                pass
            instance.kill()
            producer.stop = True
            producer.join(10)
            acked.update(producer.acked)
            next_id = producer.next + 1000
        summary, status = up_until_idle(project, data, LEDGER=ledger, timeout=300)
        assert status == 0 and summary["ok"], summary
        with Instance(project, data=data, LEDGER=ledger) as instance:
            records = all_records(instance, "events")
            ids = [json.loads(r["value"])["v"] for r in records]
            lost, twice = acked - set(ids), len(ids) - len(set(ids))
            echo = [int(r["value"]) for r in all_records(instance, "echo")]
            table = {r[0]: r[1] for r in instance.sql("SELECT id, v FROM k.events")["rows"]}
            counts = {b: (n, total) for b, n, total in instance.cql("SELECT bucket, n, total FROM k.counts")["rows"]}
            final = ended_tasks(instance)
            states = {r["run_id"]: r["state"] for r in instance.get("/api/dags/busy/runs?limit=1000")}
        runs_of = ends(ledger)
        again = [k for k, told in reported.items() if told != (final.get(k), runs_of.get(k))]
        print("%d kills: %d records acknowledged, %d in the topic, %d lost, %d twice; %d in the echo topic; %d DAG runs, %d tasks, %d reported before a kill, %d run again"
              % (ROUNDS, len(acked), len(ids), len(lost), twice, len(echo), len(states), len(final), len(reported), len(again)))
        assert not lost and not twice
        assert sorted(echo) == sorted(ids)
        assert table == {"e%d" % n: n for n in ids}
        assert counts == {b: (len([n for n in ids if n % BUCKETS == b]), sum(n for n in ids if n % BUCKETS == b)) for b in {n % BUCKETS for n in ids}}
        assert len(states) >= runs - ROUNDS and set(states.values()) == {"success"}, states
        assert len(final) == 3 * len(states)
        assert not again and all(k in runs_of for k in final), again
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def all_records(instance, topic):
    records, offset = [], 0
    while True:
        answer = instance.get("/api/topics/%s/records?offset=%d&limit=10000" % (topic, offset))
        records += answer["records"]
        offset = answer["next_offset"]
        if offset >= answer["end_offset"]:
            return records
