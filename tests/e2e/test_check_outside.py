"""`tidemill check` where broker and store are outside: what is wrong there is said before anything starts. Another Tidemill stands in for
the real systems: it speaks their protocols."""
import json
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from instance import Instance, command  # noqa: E402

TABLES = """CREATE KEYSPACE IF NOT EXISTS k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};
CREATE TABLE IF NOT EXISTS k.t (a int PRIMARY KEY, b text);
"""
PIPELINE = """CREATE TEMPORARY VIEW raw USING kafka OPTIONS (subscribe 'events');
CREATE STREAMING TABLE t USING cassandra OPTIONS (keyspace 'k', table '%s') AS SELECT offset AS a, topic AS b FROM STREAM raw;
"""


@pytest.fixture
def outside(tmp_path):
    os.makedirs(str(tmp_path / "o"))
    os.makedirs(str(tmp_path / "od"))
    with Instance(str(tmp_path / "o"), data=str(tmp_path / "od")) as i:
        yield i


def check(tmp_path, table="t", **config):
    p = str(tmp_path / "p")
    for name, text in {"tables/a.cql": TABLES, "pipelines/a.sql": PIPELINE % table, "tidemill.yaml": "".join("%s: %s\n" % c for c in config.items())}.items():
        os.makedirs(os.path.dirname(os.path.join(p, name)), exist_ok=True)
        with open(os.path.join(p, name), "w") as f:
            f.write(text)
    run = command("check", p, "--json", timeout=60)
    answer = json.loads(run.stdout.splitlines()[-1])
    assert (run.returncode == 0) == answer["ok"]
    return answer


def test_wrong_addresses(tmp_path):
    answer = check(tmp_path, broker="kafka://u:hunter2@127.0.0.1:1", store="cassandra://u:hunter2@127.0.0.1:1")
    messages = [p["message"] for p in answer["problems"] if p["severity"] == "error"]
    assert len(messages) == 2 and messages[0].startswith("broker: ") and messages[1].startswith("store: "), answer
    assert all("127.0.0.1:1" in m for m in messages) and all(p["hint"] for p in answer["problems"])
    assert "hunter2" not in json.dumps(answer)


def test_a_topic_that_is_not_there(tmp_path, outside):
    address = "kafka://127.0.0.1:%d" % outside.kafka
    (problem,) = check(tmp_path, broker=address)["problems"]
    assert problem["severity"] == "warning" and "topic events is not on" in problem["message"] and problem["file"].endswith("a.sql")
    command("topic", "produce", "events", project=outside.project, data=outside.data, input="x\n")
    assert check(tmp_path, broker=address)["problems"] == []


def test_tables_of_the_real_store(tmp_path, outside):
    address = "cassandra://127.0.0.1:%d" % outside.cassandra
    assert check(tmp_path, store=address)["ok"]
    # A table that only the real store has.
    assert not check(tmp_path, table="only_there", store=address)["ok"]
    for statement in (TABLES.splitlines()[0], "CREATE TABLE k.only_there (a bigint PRIMARY KEY, b text)", "CREATE TABLE k.t (a int PRIMARY KEY, b int)"):
        assert "error" not in outside.cql(statement.rstrip(";"))
    (problem,) = check(tmp_path, table="only_there", store=address)["problems"]
    assert "table k.t is another one" in problem["message"] and "Column b is int there and text in the project's files" in problem["detail"]
    assert outside.cql("SELECT count(*) FROM k.only_there")["rows"] == [[0]]  # check changes nothing there
