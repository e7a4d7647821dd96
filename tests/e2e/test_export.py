"""`tidemill export`: from one Tidemill to the doors of another, whatever is killed in between."""
import json
import os
import random
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from instance import Instance, binary, command, environment  # noqa: E402


def export(kind, to, *names, project, data, status=0, args=()):
    run = command("export", kind, "--to", to, "--json", *args, *names, project=project, data=data, timeout=120)
    assert run.returncode == status, (run.returncode, run.stdout, run.stderr)
    return json.loads(run.stdout.splitlines()[-1])


def folder(tmp_path, name):
    path = str(tmp_path / name)
    os.makedirs(path)
    return path


@pytest.fixture
def two(tmp_path):
    """The instance that has something, and an empty one."""
    with Instance(folder(tmp_path, "from"), data=folder(tmp_path, "from-data")) as a, Instance(folder(tmp_path, "to"), data=folder(tmp_path, "to-data")) as b:
        yield a, b


# ---- topics ----

def kafka(i):
    return "127.0.0.1:%d" % i.kafka


def fill(i, topic, partitions, count, seed=1):
    from kafka import KafkaProducer
    from kafka.admin import KafkaAdminClient, NewTopic
    admin = KafkaAdminClient(bootstrap_servers=kafka(i))
    if topic not in admin.list_topics():
        admin.create_topics([NewTopic(topic, partitions, 1)])
    rng = random.Random(seed)
    producer = KafkaProducer(bootstrap_servers=kafka(i), linger_ms=5, compression_type="gzip")
    for n in range(count):
        key = rng.choice([None, b"", b"k%d" % rng.randrange(50)])
        value = rng.choice([None if key is not None else b"-", b"", b"v" * rng.randrange(200), json.dumps({"n": n, "ü": "é"}).encode()])
        headers = [("h", b"x"), ("empty", b""), ("h", b"y")] if n % 7 == 0 else None
        producer.send(topic, key=key, value=value, headers=headers, partition=n % partitions, timestamp_ms=1500000000000 + n * 1000)
    producer.flush()
    producer.close()
    admin.close()


def content(i, topic):
    from kafka import KafkaConsumer, TopicPartition
    consumer = KafkaConsumer(bootstrap_servers=kafka(i), enable_auto_commit=False)
    try:
        parts = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
        out = {p.partition: [] for p in parts}
        if parts:
            consumer.assign(parts)
            consumer.seek_to_beginning()
            ends = consumer.end_offsets(parts)
            while any(consumer.position(p) < ends[p] for p in parts):
                for p, batch in consumer.poll(500).items():
                    out[p.partition] += [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in batch]
        return out
    finally:
        consumer.close()


def test_topics_keep_everything(two):
    a, b = two
    fill(a, "events", 3, 3000)
    fill(a, "other", 1, 10)
    told = export("topics", "kafka://" + kafka(b), project=a.project, data=a.data)
    assert told["same"] and [t["topic"] for t in told["topics"]] == ["events", "other"]
    assert content(b, "events") == content(a, "events") and content(b, "other") == content(a, "other")
    for p in told["topics"][0]["partitions"]:
        assert p["records"] == p["written"] == 1000 and p["checksum"] == p["target_checksum"] and p["offsets"] == "same"
    # A second time there is nothing to do; what came since is added.
    assert all(p["written"] == 0 for t in export("topics", "kafka://" + kafka(b), project=a.project, data=a.data)["topics"] for p in t["partitions"])
    fill(a, "events", 3, 30, seed=2)
    told = export("topics", "kafka://" + kafka(b), "ev*", project=a.project, data=a.data)
    assert [sum(p["written"] for p in t["partitions"]) for t in told["topics"]] == [30]
    assert content(b, "events") == content(a, "events")


def test_topics_of_a_stopped_project(tmp_path):
    project, data = folder(tmp_path, "from"), folder(tmp_path, "from-data")
    with Instance(project, data=data) as a:
        fill(a, "events", 2, 500)
        before = content(a, "events")
    with Instance(folder(tmp_path, "to"), data=folder(tmp_path, "to-data")) as b:
        run = command("export", "topics", "--to", "kafka://" + kafka(b), project=project, data=data)
        assert run.returncode == 0, run.stderr
        assert "topic events: 2 partitions, 500 records (500 written now), checksum " in run.stdout and "on both sides, offsets as before" in run.stdout
        assert "1 topics at kafka://" in run.stdout
        assert content(b, "events") == before


def killed_often(words, data, longest, step=1.15):
    """Starts the command and kills it, each time a little later than before, until it ends before it is killed or after `longest`
    seconds; then lets it finish. The steps are small enough to fall into every part of the work, however fast the machine."""
    killed, after = 0, 0.005
    while after < longest:
        process = subprocess.Popen([binary(), *words], env=environment(data), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=after)
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
        after *= step
    run = subprocess.run([binary(), *words, "--json"], env=environment(data), stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return killed, json.loads(run.stdout.splitlines()[-1])


@pytest.mark.once
def test_topics_nothing_twice_nothing_lost_by_kills(two):
    a, b = two
    fill(a, "events", 4, 20000)
    killed, told = killed_often(["export", "topics", "--to", "kafka://" + kafka(b), "--project", a.project], a.data, 2, step=1.4)
    assert killed >= 2 and told["same"]
    assert content(b, "events") == content(a, "events")
    # The saved marks are only a short cut: damaged or gone, the same comes out.
    (state,) = [f for f in os.listdir(os.path.join(a.data, "export")) if f.startswith("topics")]
    path = os.path.join(a.data, "export", state)
    with open(path, "r+b") as f:
        f.seek(-3, 2)
        f.write(b"7")
    told = export("topics", "kafka://" + kafka(b), project=a.project, data=a.data)
    assert sum(p["written"] for p in told["topics"][0]["partitions"]) == 0 and sum(p["found"] for p in told["topics"][0]["partitions"]) == 20000
    os.unlink(path)
    assert export("topics", "kafka://" + kafka(b), project=a.project, data=a.data)["same"]
    assert content(b, "events") == content(a, "events")


def test_topics_that_are_not_ours_are_left_alone(two):
    a, b = two
    fill(a, "events", 1, 100)
    fill(a, "parts", 2, 10)
    fill(b, "events", 1, 5, seed=9)
    fill(b, "parts", 3, 0)
    said = export("topics", "kafka://" + kafka(b), "events", project=a.project, data=a.data, status=1)["error"]
    assert "other records" in said["message"] and "Delete that topic" in said["hint"]
    said = export("topics", "kafka://" + kafka(b), "parts", project=a.project, data=a.data, status=1)["error"]
    assert "2 partitions here and 3" in said["message"]
    assert len(content(b, "events")[0]) == 5


def test_settings_and_groups_come_along(two):
    from kafka import KafkaConsumer, TopicPartition
    from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
    from kafka.structs import OffsetAndMetadata
    a, b = two
    admin = KafkaAdminClient(bootstrap_servers=kafka(a))
    admin.create_topics([NewTopic("events", 2, 1, topic_configs={"retention.ms": "-1", "compression.type": "lz4"}), NewTopic("cut", 1, 1)])
    fill(a, "events", 2, 200)
    fill(a, "cut", 1, 100)

    def commit(i, group, offsets):
        consumer = KafkaConsumer(bootstrap_servers=kafka(i), group_id=group, enable_auto_commit=False)
        consumer.commit({TopicPartition(t, p): OffsetAndMetadata(o, "") for t, p, o in offsets})
        consumer.close()

    def committed(i, group, topic, partition=0):
        consumer = KafkaConsumer(bootstrap_servers=kafka(i), group_id=group, enable_auto_commit=False)
        try:
            return consumer.committed(TopicPartition(topic, partition))
        finally:
            consumer.close()

    subprocess.run(["kcat", "-b", kafka(a), "-L"], stdout=subprocess.DEVNULL, check=True)
    commit(a, "readers", [("events", 0, 30), ("events", 1, 100), ("cut", 0, 60)])
    commit(a, "early", [("cut", 0, 5)])
    assert delete_records(a, "cut", 40) == 40
    told = export("topics", "kafka://" + kafka(b), project=a.project, data=a.data)
    assert told["same"] and {t["topic"]: t["partitions"][0]["offsets"] for t in told["topics"]} == {"events": "same", "cut": "shifted"}
    assert sorted(g["group"] for g in told["groups"]) == ["early", "readers"]
    assert [committed(b, "readers", "events", p) for p in (0, 1)] == [30, 100]
    assert committed(b, "readers", "cut") == 20 and committed(b, "early", "cut") == 0  # the first 40 are no more
    (resource,) = KafkaAdminClient(bootstrap_servers=kafka(b)).describe_configs([ConfigResource(ConfigResourceType.TOPIC, "events")])
    values = {c[0]: c[1] for c in resource.resources[0][4]}
    assert values["retention.ms"] == "-1" and values["compression.type"] == "lz4"
    # A group that has gone on at the target is not taken back.
    commit(b, "readers", [("events", 0, 90)])
    told = export("topics", "kafka://" + kafka(b), project=a.project, data=a.data)
    assert committed(b, "readers", "events", 0) == 90 and any("readers" in n and "further" in n for n in told["notes"])


def delete_records(i, topic, before):
    """Kafka's DeleteRecords, of which kafka-python 2.0.2 has no method."""
    from kafka.admin import KafkaAdminClient
    from kafka.protocol.api import Request, Response
    from kafka.protocol.types import Array, Int16, Int32, Int64, Schema, String

    class Answer(Response):
        API_KEY, API_VERSION = 21, 0
        SCHEMA = Schema(("throttle", Int32), ("topics", Array(("name", String("utf-8")), ("partitions", Array(("partition", Int32), ("low", Int64), ("error", Int16))))))

    class Ask(Request):
        API_KEY, API_VERSION, RESPONSE_TYPE = 21, 0, Answer
        SCHEMA = Schema(("topics", Array(("name", String("utf-8")), ("partitions", Array(("partition", Int32), ("before", Int64))))), ("timeout", Int32))

    admin = KafkaAdminClient(bootstrap_servers=kafka(i))
    future = admin._send_request_to_node(admin._client.least_loaded_node(), Ask([(topic, [(0, before)])], 5000))
    admin._wait_for_futures([future])
    answer = future.value.topics[0][1][0]
    assert answer[2] == 0, answer
    return answer[1]


def test_what_is_wrong_is_said(two):
    a, b = two
    fill(a, "events", 1, 1)
    for to, names, words in (("cassandra://127.0.0.1:1", (), "kafka://"), ("kafka://127.0.0.1:1", (), "127.0.0.1:1"), ("kafka://" + kafka(b), ("evnts",), "no topic evnts")):
        run = command("export", "topics", "--to", to, *names, project=a.project, data=a.data)
        assert run.returncode != 0 and words in run.stderr, run.stderr
    run = command("export", "topics", project=a.project, data=a.data)
    assert run.returncode != 0 and "--to is missing" in run.stderr
    run = command("export", "tables", "--to", "cassandra://u:hunter2@127.0.0.1:1", project=a.project, data=a.data)
    assert run.returncode != 0 and "hunter2" not in run.stderr
    run = command("export", "all", project=a.project, data=a.data)
    assert run.returncode == 2


# ---- tables ----

SCHEMA = """
CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};
CREATE TYPE k.place (street text, number int);
CREATE TABLE k.all_types (a int, b text, c timestamp, u uuid, s int static, d decimal, v varint, bl blob, bo boolean, da date, ti time, du duration, ine inet, f float, dou double,
  sm smallint, tin tinyint, big bigint, l list<int>, m map<text, int>, st set<text>, fl frozen<list<int>>, p frozen<place>, tu tuple<int, text>,
  PRIMARY KEY ((a, b), c, u)) WITH CLUSTERING ORDER BY (c DESC, u ASC) AND comment = 'it''s all';
CREATE INDEX by_big ON k.all_types (big);
CREATE TABLE k.short (a int PRIMARY KEY, b text) WITH default_time_to_live = 100000;
CREATE TABLE k.counts (a text, b int, n counter, m counter, PRIMARY KEY (a, b));
CREATE TABLE k."OddName" ("Key" int PRIMARY KEY, "select" text);
"""


def run_cql(i, text):
    for statement in text.split(";"):
        if statement.strip():
            answer = i.cql(statement)
            assert "error" not in answer, (statement, answer)


def table_content(i, table, columns="*"):
    answer = i.cql("SELECT %s FROM %s" % (columns, table))
    assert "error" not in answer, answer
    return sorted(json.dumps(r, sort_keys=True) for r in answer["rows"])


def cassandra(i):
    return "cassandra://127.0.0.1:%d" % i.cassandra


def tables_filled(i):
    run_cql(i, SCHEMA)
    for n in range(40):
        run_cql(i, """INSERT INTO k.all_types (a, b, c, u, s, d, v, bl, bo, da, ti, du, ine, f, dou, sm, tin, big, l, m, st, fl, p, tu) VALUES
          (%d, 'b%d', '2024-01-0%dT00:00:00Z', 00000000-0000-0000-0000-0000000000%02d, %d, -1.50, 123456789012345678901234567890, 0xcafe, true, '2024-02-29', '08:12:54.123', 1mo2d3s,
           '127.0.0.1', 1.5, NaN, -3, 7, %d, [1, 2, %d], {'a': 1, 'b': %d}, {'x', 'y%d'}, [1, 2], {street: 'Ü', number: %d}, (1, 'z')) USING TIMESTAMP %d"""
                % (n % 5, n % 3, n % 9 + 1, n, n, n, n, n, n, n, 1700000000000000 + n))
    run_cql(i, """UPDATE k.all_types USING TIMESTAMP 1700000000000500 AND TTL 5000 SET d = 2.75, m = m + {'late': 9}, st = st - {'x'}, l = l + [7]
                  WHERE a = 0 AND b = 'b0' AND c = '2024-01-01T00:00:00Z' AND u = 00000000-0000-0000-0000-000000000000;
                  INSERT INTO k.all_types (a, b, c, u) VALUES (77, 'key only', '2024-01-01', 00000000-0000-0000-0000-000000000001);
                  INSERT INTO k.all_types (a, b, s) VALUES (78, 'static only', 5);
                  INSERT INTO k.short (a, b) VALUES (1, 'a day');
                  INSERT INTO k.short (a, b) VALUES (2, 'for ever') USING TTL 0;
                  UPDATE k.counts SET n = n + 5, m = m - 2 WHERE a = 'x' AND b = 1; UPDATE k.counts SET n = n + 1 WHERE a = 'y' AND b = 2;
                  INSERT INTO k."OddName" ("Key", "select") VALUES (1, 'quoted')""")


TIMES = "a, b, c, u, d, writetime(d), writetime(s), writetime(m), writetime(st), writetime(big), writetime(p)"


def same_tables(a, b):
    for table in ("k.all_types", "k.short", "k.counts", 'k."OddName"'):
        assert table_content(b, table) == table_content(a, table), table
    assert table_content(b, "k.all_types", TIMES) == table_content(a, "k.all_types", TIMES)
    (late,), (forever,) = (b.cql("SELECT ttl(d), ttl(m) FROM k.all_types WHERE a = 0 AND b = 'b0' AND c = '2024-01-01' AND u = 00000000-0000-0000-0000-000000000000")["rows"],
                           b.cql("SELECT ttl(b) FROM k.short WHERE a = 2")["rows"])
    assert 4000 < late[0] <= 5000 and [t is not None for t in late[1]] == [False, False, True] and forever == [None]
    assert 90000 < b.cql("SELECT ttl(b) FROM k.short WHERE a = 1")["rows"][0][0] <= 100000


def test_tables_keep_types_times_and_lives(two):
    a, b = two
    tables_filled(a)
    told = export("tables", cassandra(b), project=a.project, data=a.data)
    assert told["same"] and [t["table"] for t in told["tables"]] == ["k.OddName", "k.all_types", "k.counts", "k.short"]
    assert {t["table"]: t["rows"] for t in told["tables"]} == {"k.OddName": 1, "k.all_types": 42, "k.counts": 2, "k.short": 2}
    same_tables(a, b)
    assert b.cql("DESCRIBE TABLE k.all_types")["rows"] == a.cql("DESCRIBE TABLE k.all_types")["rows"]
    # Once more: nothing to write; a change is found and carried over.
    assert all(t["written"] == 0 for t in export("tables", cassandra(b), project=a.project, data=a.data)["tables"])
    run_cql(a, "UPDATE k.counts SET n = n + 100 WHERE a = 'x' AND b = 1; UPDATE k.short SET b = 'changed' WHERE a = 1")
    assert export("tables", cassandra(b), "k", project=a.project, data=a.data)["same"]
    same_tables(a, b)


def test_tables_of_a_stopped_project(tmp_path):
    project, data = folder(tmp_path, "from"), folder(tmp_path, "from-data")
    with Instance(project, data=data) as a:
        tables_filled(a)
        before = table_content(a, "k.all_types")
    with Instance(folder(tmp_path, "to"), data=folder(tmp_path, "to-data")) as b:
        run = command("export", "tables", "--to", cassandra(b), "k.all_types", project=project, data=data)
        assert run.returncode == 0, run.stderr
        assert "table k.all_types: 42 rows (42 written now), checksum" in run.stdout
        assert table_content(b, "k.all_types") == before


@pytest.mark.once
def test_tables_killed_often(two):
    a, b = two
    run_cql(a, "CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}; CREATE TABLE k.t (a int, b int, l list<int>, v text, PRIMARY KEY (a, b))")
    from cassandra.cluster import Cluster
    cluster = Cluster(["127.0.0.1"], port=a.cassandra, protocol_version=4)
    session = cluster.connect()
    insert = session.prepare("INSERT INTO k.t (a, b, l, v) VALUES (?, ?, ?, ?)")
    for f in [session.execute_async(insert, (n % 200, n, [1, 2, n], "v%d" % n)) for n in range(4000)]:
        f.result()
    cluster.shutdown()
    killed, told = killed_often(["export", "tables", "--to", cassandra(b), "--project", a.project], a.data, 2)
    assert killed >= 2 and told["same"] and told["tables"][0]["begun_again"] >= 1
    assert table_content(b, "k.t") == table_content(a, "k.t")


def test_tables_that_differ_are_said(two):
    a, b = two
    run_cql(a, "CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}; CREATE TABLE k.t (a int PRIMARY KEY, b text)")
    run_cql(b, "CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}; CREATE TABLE k.t (a int PRIMARY KEY, b int)")
    said = export("tables", cassandra(b), project=a.project, data=a.data, status=1)["error"]
    assert "another one at the target" in said["message"] and "Column b" in said["detail"]
    run_cql(b, "DROP TABLE k.t")
    run_cql(a, "INSERT INTO k.t (a, b) VALUES (1, 'x')")
    assert export("tables", cassandra(b), project=a.project, data=a.data)["same"]
    # Rows that only the target has are no part of the source: that is not the same.
    run_cql(b, "INSERT INTO k.t (a, b) VALUES (2, 'foreign')")
    run = command("export", "tables", "--to", cassandra(b), project=a.project, data=a.data)
    assert run.returncode == 1 and "DIFFERENT" in run.stdout
