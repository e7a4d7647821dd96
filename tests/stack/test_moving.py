"""`tidemill export` into real Kafkas and a real Cassandra, killed on the way, and back again."""
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from moving import ROOT, own  # noqa: E402,F401
import test_export as small  # noqa: E402 - tests/e2e: what it compares there between two instances
from instance import Instance  # noqa: E402


class Server:
    """What tests/e2e/test_export.py calls an instance: its ports."""

    def __init__(self, kafka=None, cassandra=None):
        self.kafka = int(kafka.rpartition(":")[2]) if kafka else None
        self.cassandra = int(cassandra.rpartition(":")[2]) if cassandra else None
        self.session = None

    def cql(self, text):
        if self.session is None:
            from cassandra.cluster import Cluster
            self.session = Cluster(["127.0.0.1"], port=self.cassandra, protocol_version=4).connect()
        return {"rows": [[r[0]] for r in self.session.execute("SELECT JSON " + text[len("SELECT "):], timeout=60)]}


@pytest.fixture
def source(tmp_path):
    for name in ("from", "from-data"):
        os.makedirs(str(tmp_path / name))
    with Instance(str(tmp_path / "from"), data=str(tmp_path / "from-data")) as i:
        yield i


def delete_topics(address, names):
    from kafka.admin import KafkaAdminClient
    admin = KafkaAdminClient(bootstrap_servers=address)
    admin.delete_topics([n for n in names if n in admin.list_topics()])
    admin.close()


@pytest.mark.parametrize("version", ["kafka39", "kafka4"])
def test_topics_to_a_real_kafka_and_back(version, request, source, prefix, tmp_path):
    address = request.getfixturevalue(version)
    server, topics = Server(kafka=address), [prefix + "events", prefix + "other"]
    small.fill(source, topics[0], 4, 20000)
    small.fill(source, topics[1], 1, 10)
    try:
        killed, told = small.killed_often(["export", "topics", prefix + "*", "--to", "kafka://" + address, "--project", source.project], source.data, 2)
        assert killed >= 2 and told["same"]
        for topic in topics:
            assert small.content(server, topic) == small.content(source, topic)
        assert all(p["offsets"] == "same" for t in told["topics"] for p in t["partitions"])
        # And from there into a Tidemill.
        for name in ("to", "to-data"):
            os.makedirs(str(tmp_path / name))
        with Instance(str(tmp_path / "to"), data=str(tmp_path / "to-data")) as back:
            assert small.export("topics", "kafka://" + small.kafka(back), prefix + "*", project=source.project, data=source.data, args=("--from", "kafka://" + address))["same"]
            for topic in topics:
                assert small.content(back, topic) == small.content(source, topic)
    finally:
        delete_topics(address, topics)


def test_tables_to_a_real_cassandra_and_back(cassandra, source, prefix, tmp_path):
    keyspace, server = prefix + "k", Server(cassandra=cassandra)
    original = small.run_cql

    def renamed(text):
        return text.replace("KEYSPACE k", "KEYSPACE " + keyspace).replace(" k.", " %s." % keyspace)

    small.run_cql = lambda i, text: original(i, renamed(text))
    try:
        small.tables_filled(source)
        told = small.export("tables", "cassandra://" + cassandra, keyspace, project=source.project, data=source.data)
        assert told["same"] and {t["table"].partition(".")[2]: t["rows"] for t in told["tables"]} == {"OddName": 1, "all_types": 42, "counts": 2, "short": 2}
        for name in ("to", "to-data"):
            os.makedirs(str(tmp_path / name))
        with Instance(str(tmp_path / "to"), data=str(tmp_path / "to-data")) as back:
            assert small.export("tables", small.cassandra(back), keyspace, project=source.project, data=source.data, args=("--from", "cassandra://" + cassandra))["same"]
            for table in ("all_types", "short", "counts", '"OddName"'):
                full = "%s.%s" % (keyspace, table)
                assert small.table_content(back, full) == small.table_content(source, full)
            times = ["%s.all_types" % keyspace, small.TIMES]
            assert small.table_content(back, *times) == small.table_content(source, *times)
    finally:
        small.run_cql = original
        subprocess.run([os.path.join(os.path.dirname(__file__), "cassandra.sh"), "status"], stdout=subprocess.DEVNULL)
        from cassandra.cluster import Cluster
        cluster = Cluster(["127.0.0.1"], port=server.cassandra, protocol_version=4)
        cluster.connect().execute("DROP KEYSPACE IF EXISTS " + keyspace, timeout=60)
        cluster.shutdown()


def test_big_table_killed_on_the_way_to_cassandra(cassandra, source, prefix):
    keyspace = prefix + "big"
    small.run_cql(source, "CREATE KEYSPACE %s WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}; CREATE TABLE %s.t (a int, b int, l list<int>, v text, PRIMARY KEY (a, b))" % (keyspace, keyspace))
    from cassandra.cluster import Cluster
    cluster = Cluster(["127.0.0.1"], port=source.cassandra, protocol_version=4)
    session = cluster.connect()
    insert = session.prepare("INSERT INTO %s.t (a, b, l, v) VALUES (?, ?, ?, ?)" % keyspace)
    for start in range(0, 10000, 500):
        for f in [session.execute_async(insert, (n % 500, n, [1, 2, n], "v%d" % n)) for n in range(start, start + 500)]:
            f.result()
    cluster.shutdown()
    target = Cluster(["127.0.0.1"], port=int(cassandra.rpartition(":")[2]), protocol_version=4)
    try:
        killed, told = small.killed_often(["export", "tables", keyspace, "--to", "cassandra://" + cassandra, "--project", source.project], source.data, 2.5)
        assert killed >= 2 and told["same"]
        rows = sorted(tuple(map(str, r)) for r in target.connect().execute("SELECT a, b, l, v FROM %s.t" % keyspace, timeout=60))
        assert rows == sorted((str(n % 500), str(n), str([1, 2, n]), "v%d" % n) for n in range(10000))
    finally:
        target.connect().execute("DROP KEYSPACE IF EXISTS " + keyspace, timeout=60)
        target.shutdown()
