"""`broker: kafka://…`: a project whose topics are on another broker. The other broker is our own Kafka door (tests/programs/kafka_server),
which speaks the protocol that a real Kafka speaks; tests/stack runs the same on real ones."""
import json
import os
import subprocess
import time

import pytest

from instance import Instance, binary, command, environment, up_until_idle

PIPELINE = """
CREATE TEMPORARY VIEW raw USING kafka OPTIONS (kafka.bootstrap.servers 'broker:29092', subscribe 'in', startingOffsets 'earliest');
CREATE STREAMING TABLE t USING cassandra OPTIONS (keyspace 'b', table 't') AS
  SELECT CAST(CAST(key AS STRING) AS BIGINT) AS id, CAST(value AS STRING) AS v FROM STREAM raw;
CREATE STREAMING TABLE out USING kafka OPTIONS (topic 'out') AS SELECT key, upper(CAST(value AS STRING)) AS value FROM STREAM raw;
"""
CQL = """CREATE KEYSPACE IF NOT EXISTS b WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};
CREATE TABLE IF NOT EXISTS b.t (id bigint PRIMARY KEY, v text);
"""
DAG = '''
from datetime import datetime
from airflow import DAG
from airflow.operators.python import PythonOperator


def send():
    from kafka import KafkaProducer
    for address in ("broker:29092", "kafka:9092", "localhost:9092"):
        producer = KafkaProducer(bootstrap_servers=address)
        producer.send("in", key=str(len(address)).encode(), value=address.encode())
        producer.flush()
        producer.close()


with DAG("send", start_date=datetime(2024, 1, 1), schedule=None) as dag:
    PythonOperator(task_id="send", python_callable=send)
'''


class Door:
    """A broker in a process of its own."""

    def __init__(self, directory):
        self.directory, self.port, self.process = str(directory), 0, None

    def start(self):
        self.process = subprocess.Popen([os.path.join(os.path.dirname(binary()), "tests", "kafka_server"), self.directory, str(self.port)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, universal_newlines=True)
        self.port = int(self.process.stdout.readline().split()[1])

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def door(tmp_path):
    one = Door(tmp_path / "door")
    one.start()
    yield one
    one.stop()


@pytest.fixture
def project(tmp_path, door):
    top = tmp_path / "project"
    for folder, name, text in (("pipelines", "p.sql", PIPELINE), ("tables", "t.cql", CQL), ("dags", "send.py", DAG)):
        (top / folder).mkdir(parents=True)
        (top / folder / name).write_text(text)
    (top / "tidemill.yaml").write_text("broker: kafka://127.0.0.1:%d\n" % door.port)
    return top


def wait(what, condition, seconds=20):
    until = time.time() + seconds
    while time.time() < until:
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("waited %d s for %s" % (seconds, what))


def test_dags_and_pipelines_use_it(project, tmp_path):
    data = str(tmp_path / "data")
    summary, status = up_until_idle(str(project), data, "--trigger", "send")
    assert status == 0, summary
    assert {t["name"]: t["records"] for t in summary["topics"]} == {"in": 3, "out": 3}
    assert [(p["name"], p["rows_read"], p["rows_written"]) for p in summary["pipelines"]] == [("t", 3, 3), ("out", 3, 3)]
    again, status = up_until_idle(str(project), data)  # goes on where it was
    assert [p["rows_read"] for p in again["pipelines"]] == [0, 0]
    assert {t["name"]: t["records"] for t in again["topics"]} == {"in": 3, "out": 3}


def test_commands_and_page_see_it(project, door):
    with Instance(str(project)) as i:
        def ask(*words, **more):
            return command(*words, project=str(project), data=i.data, **more)

        def pipelines():
            return i.get("/api/status")["pipelines"]

        sent = ask("topic", "produce", "in", "--key", ":", input="1:one\n2:two\n")
        assert sent.returncode == 0, sent.stderr
        wait("both rows", lambda: i.get("/api/status")["tables"] and sum(p["rows_written"] for p in pipelines()) == 4)
        tail = ask("topic", "tail", "out", "--json").stdout.splitlines()
        assert [json.loads(line)["value"] for line in tail] == ["ONE", "TWO"]
        wait("the counts", lambda: {t["name"]: t["records"] for t in json.loads(ask("topic", "list", "--json").stdout)} == {"in": 2, "out": 2})
        rows = ask("sql", "SELECT CAST(value AS STRING) AS v, offset FROM out", "--json").stdout
        assert json.loads(rows.splitlines()[0])["rows"] == [["ONE", 0], ["TWO", 1]]
        status = i.get("/api/status")
        assert status["broker"] == {"kind": "kafka", "address": "kafka://127.0.0.1:%d" % door.port}
        assert status["doors"]["kafka"] == 0
        door.stop()
        wait("the word of it", lambda: any(f["subject"] == "broker" for f in i.get("/api/diagnosis")))
        wait("the pipelines' word", lambda: all(p["waiting"] for p in pipelines()))
        door.start()
        wait("the end of it", lambda: not any(p["waiting"] for p in pipelines()))
        wait("records again", lambda: ask("topic", "produce", "in", "--key", ":", input="3:three\n").returncode == 0)
        wait("the row after it", lambda: sum(p["rows_written"] for p in pipelines()) == 6)
        began = time.time()
        i.process.terminate()
        i.process.wait(30)
        assert time.time() - began < 5
        assert "waits:" in i.output() and "goes on" in i.output()


def test_what_is_wrong_is_said_first(project, tmp_path):
    def up(address):
        (project / "tidemill.yaml").write_text("broker: %s\n" % address)
        return subprocess.run([binary(), "up", str(project), "--until-idle"], env=environment(str(tmp_path / "data")), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, universal_newlines=True, timeout=60)

    for address, words in (("kafka://127.0.0.1:1", "refused"), ("kafka://127.0.0.1:1?security.protocal=SSL", "security.protocol"),
                           ("kafka://127.0.0.1:1/x", "no path"), ("rabbit://x", "neither embedded nor kafka://")):
        done = up(address)
        assert done.returncode != 0
        assert words in done.stderr, (address, done.stderr)
    (project / "tidemill.yaml").write_text("broker: kafka://127.0.0.1:1\n")
    (project / "pipelines" / "p.sql").write_text(PIPELINE.replace("subscribe 'in'", "subscribe 'in', kafka.isolatoin.level 'read_committed'"))
    checked = command("check", str(project))
    assert checked.returncode == 1
    assert "Did you mean kafka.isolation.level?" in checked.stdout
