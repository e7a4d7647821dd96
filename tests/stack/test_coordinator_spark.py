"""Two instances with `engine: local[2]` on one checkpoint: real Spark, Kafka, Cassandra and ZooKeeper. The leader is killed, and paused longer than its
session: with all of its Spark, alone, and so that Spark wakes before who watches over it. One Spark acts at any time, the table holds what one
computation gives, and no JVM stays."""
import collections
import os
import random
import signal
import threading
import time
import uuid

import pytest
from instance import Instance
from test_coordinator import Stack, own_zookeeper  # noqa: F401
from test_spark_engine import engine

SESSION_MS = 3000
SLOW = 180
TABLES = """
CREATE KEYSPACE IF NOT EXISTS KS WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};
CREATE TABLE IF NOT EXISTS KS.totals (k text PRIMARY KEY, n bigint, top int);
CREATE TABLE IF NOT EXISTS KS.seen (v int PRIMARY KEY, k text);
"""
PIPELINE = """
CREATE TEMPORARY VIEW raw USING kafka OPTIONS (subscribe 'IN', startingOffsets 'earliest');
CREATE TEMPORARY VIEW numbers AS SELECT CAST(key AS STRING) AS k, CAST(CAST(value AS STRING) AS INT) AS v FROM STREAM raw;
CREATE STREAMING TABLE totals USING cassandra OPTIONS (keyspace 'KS', table 'totals', outputMode 'update') AS
  SELECT k, count(*) AS n, max(v) AS top FROM STREAM numbers GROUP BY k;
CREATE STREAMING TABLE seen USING cassandra OPTIONS (keyspace 'KS', table 'seen') AS SELECT v, k FROM STREAM numbers;
"""


def spark_of(data):
    """{pid: (state, command line)} of the Spark of a data directory: R, S, D run; T is paused, Z has ended."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/environ" % pid, "rb") as f:
                if ("TIDEMILL_SPARK_OWNER=" + data).encode() not in f.read().split(b"\0"):
                    continue
            with open("/proc/%s/stat" % pid) as f:
                state = f.read().rsplit(")", 1)[1].split()[0]
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                found[int(pid)] = (state, f.read().replace(b"\0", b" ").decode(errors="replace")[:2000])
        except (OSError, IndexError):
            pass
    return found


def send(pid, sig):
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass  # a worker that had nothing to do


def pause(data):
    """All of its Spark; what a process begins before it is paused itself is found by the next look."""
    while [send(pid, signal.SIGSTOP) for pid, (state, _) in sorted(spark_of(data).items()) if state not in "TZ"]:
        time.sleep(0.01)


def jvms(data):
    return {pid for pid, (state, command) in spark_of(data).items() if command.split(" ")[0].endswith("java") and state not in "TZ"}


class Pair(Stack):
    """Two instances with data directories of their own, one checkpoint, and records that arrive while `sending`."""

    def __init__(self, tmp_path, kafka, cassandra, zookeeper, spark):
        name = "coord_" + uuid.uuid4().hex[:8]
        self.kafka, self.cassandra, self.keyspace, self.incoming, self.outgoing = kafka, cassandra, name, name + "_in", name + "_out"
        for folder, file, text in (("tables", "t.cql", TABLES), ("pipelines", "p.sql", PIPELINE)):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / file).write_text(text.replace("KS", name).replace("'IN'", "'%s'" % self.incoming))
        env = dict(TIDEMILL_BROKER="kafka://" + kafka, TIDEMILL_STORE="cassandra://%s?local_dc=datacenter1" % cassandra,
                   TIDEMILL_COORDINATOR=zookeeper.address("/tidemill/" + name, SESSION_MS),
                   TIDEMILL_ENGINE=engine(spark, checkpoint=str(tmp_path / "shared")))
        self.instances = [Instance(str(tmp_path), **env), Instance(str(tmp_path), **env)]
        self.both, self.samples, self.watching = [], 0, True
        self.two, self.expect_two = [], False
        self.counts, self.tops, self.sent, self.sending = collections.Counter(), {}, 0, False

    def __enter__(self):
        self.connect()
        super().__enter__()
        self.others = [threading.Thread(target=self.watch_sparks, daemon=True), threading.Thread(target=self.send, daemon=True)]
        for t in self.others:
            t.start()
        return self

    def connect(self):
        from cassandra.cluster import Cluster
        from kafka import KafkaProducer
        host, port = self.cassandra.rsplit(":", 1)
        self.cluster = Cluster([host], port=int(port))
        self.cql = self.cluster.connect()
        self.producer = KafkaProducer(bootstrap_servers=self.kafka, acks="all")

    def __exit__(self, *what):
        self.watching = False
        for t in self.others:
            t.join()
        for i in self.instances:
            for pid in spark_of(i.data):
                send(pid, signal.SIGCONT)
        self.producer.close()
        self.cluster.shutdown()
        super().__exit__(*what)

    def watch_sparks(self):
        """Two running JVMs are never to be seen."""
        since = None
        while self.watching:
            if all(jvms(i.data) for i in self.instances) and not self.expect_two:
                since = since or time.time()
                self.two.append(time.time() - since)
            else:
                since = None
            time.sleep(0.1)

    def send(self):
        chance = random.Random(11)
        while self.watching:
            if self.sending:
                for _ in range(10):
                    key = "k%d" % chance.randrange(40)
                    self.producer.send(self.incoming, key=key.encode(), value=b"%d" % self.sent)
                    self.counts[key] += 1
                    self.tops[key] = self.sent
                    self.sent += 1
                self.producer.flush()
            time.sleep(0.05)

    def stop_sending(self):
        self.sending = False
        time.sleep(0.3)

    def whole(self):
        """Both tables hold what one computation over all records gives: nothing lost, nothing twice."""
        want = {k: (n, self.tops[k]) for k, n in self.counts.items()}
        got = {r.k: (r.n, r.top) for r in self.cql.execute("SELECT k, n, top FROM %s.totals" % self.keyspace)}
        return got == want and self.cql.execute("SELECT count(*) FROM %s.seen" % self.keyspace).one()[0] == self.sent

    def becomes_whole(self, timeout=SLOW):
        until = time.time() + timeout
        while not self.whole():
            assert time.time() < until, "the table is not what it should be\n" + "\n".join(self.said(i) for i in self.instances)
            time.sleep(0.2)

    def said(self, i):
        return i.output() + str({pid: (state, command[:100]) for pid, (state, command) in spark_of(i.data).items()})

    def at_work(self, timeout=SLOW, among=None):
        """The leader, once its Spark has done a batch with records; and the other one."""
        leader, follower = self.leader(timeout, among)
        until = time.time() + timeout
        while time.time() < until:
            state = leader.get("/api/status")["pipelines"]
            assert all(p["state"] == "running" for p in state), (state, self.said(leader))
            if len(state) == 2 and all(p["rows_read"] for p in state):
                return leader, follower
            time.sleep(0.1)
        raise AssertionError("its Spark does nothing\n" + self.said(leader))

    def no_spark(self, i, within):
        until = time.time() + within
        while [s for s in spark_of(i.data).values() if s[0] not in "TZ"]:
            assert time.time() < until, self.said(i)
            time.sleep(0.02)


def test_spark_moves_with_the_lead(kafka4, cassandra, own_zookeeper, spark43, tmp_path):  # noqa: F811
    chance, took = random.Random(5), []
    with Pair(tmp_path, kafka4, cassandra, own_zookeeper, spark43) as stack:
        stack.sending = True
        for how in ("kill", "pause all", "kill", "pause tidemill", "kill", "wake spark first"):
            leader, follower = stack.at_work()
            follower.wait(lambda: stack.asked(follower) == "follower" and "follows" in str(follower.get("/api/diagnosis")))
            assert not spark_of(follower.data) and follower.get("/api/status")["pipelines"] == []
            time.sleep(chance.uniform(0, 2))
            began = time.time()
            leader.process.send_signal(signal.SIGKILL if how == "kill" else signal.SIGSTOP)
            if how in ("pause all", "wake spark first"):
                pause(leader.data)
            if how == "kill":
                leader.process.wait()
                stack.no_spark(leader, 2)
            if how == "pause tidemill":  # its Spark is not paused, and ends by itself before the session does
                stack.no_spark(leader, SESSION_MS / 1000)
            stack.leader(among=[follower])
            elected = time.time() - began
            stack.at_work(among=[follower])
            took.append((how, elected, time.time() - began))
            if how == "kill":
                leader.start(timeout=60)
                continue
            stack.stop_sending()
            stack.becomes_whole()
            if how == "wake spark first":  # for a while nobody can end it
                stack.expect_two = True
                paused = spark_of(leader.data)
                runner = next(pid for pid, (_, command) in paused.items() if " -m tidemill.spark" in command)
                for pid in paused:
                    if pid != runner:
                        send(pid, signal.SIGCONT)
                time.sleep(3)
                assert stack.whole() and jvms(leader.data)
                send(runner, signal.SIGCONT)
                stack.no_spark(leader, 2)
                stack.expect_two = False
            for pid in spark_of(leader.data):
                send(pid, signal.SIGCONT)
            leader.process.send_signal(signal.SIGCONT)
            stack.no_spark(leader, 2)
            leader.wait(lambda: stack.asked(leader) == "follower")
            time.sleep(3)
            assert stack.whole() and stack.asked(follower) == "leader"
            stack.sending = True
        stack.at_work()
        stack.stop_sending()
        stack.becomes_whole()
        assert not stack.both and max(stack.two, default=0) < 0.5, stack.two
        for i in stack.instances:
            assert i.stop(60) == 0, i.output()
            assert not spark_of(i.data), spark_of(i.data)
        print("\n%d records; %s; two JVMs were seen at %d looks" % (
            stack.sent, ", ".join("%s: leads after %.1f s, first batch after %.1f s" % t for t in took), len(stack.two)))


@pytest.mark.parametrize("spark", ["spark43", "spark35"])
def test_without_zookeeper_no_spark_runs(request, kafka4, cassandra, own_zookeeper, spark, tmp_path):  # noqa: F811
    with Pair(tmp_path, kafka4, cassandra, own_zookeeper, request.getfixturevalue(spark)) as stack:
        stack.sending = True
        leader, _ = stack.at_work()
        own_zookeeper.signal(signal.SIGSTOP)
        stack.no_spark(leader, SESSION_MS / 1000)
        for i in stack.instances:
            i.wait(lambda: stack.role(i)["role"] == "waiting")
        time.sleep(3)
        assert not any(spark_of(i.data) for i in stack.instances)
        own_zookeeper.signal(signal.SIGCONT)
        stack.at_work()
        stack.stop_sending()
        stack.becomes_whole()
        leader, follower = stack.leader()
        began = time.time()
        assert leader.stop(60) == 0  # by SIGTERM: Spark ends, then the next one leads at once
        stack.leader(among=[follower])
        print("\nstopped and followed in %.1f s" % (time.time() - began))
        stack.sending = True
        stack.at_work(among=[follower])
        stack.stop_sending()
        stack.becomes_whole()
        assert not stack.two
        # All cells of a batch have one time: that of its lease.
        times = {r.t for r in stack.cql.execute("SELECT writetime(k) AS t FROM %s.seen" % stack.keyspace)}
        assert len(times) < stack.sent / 5, (len(times), stack.sent)


def test_what_a_spark_that_slept_writes_loses(cassandra):
    import sys
    from conftest import ROOT
    sys.path.insert(0, os.path.join(ROOT, "python"))
    from cassandra.cluster import Cluster
    from tidemill.spark import tables
    from tidemill.spark.lease import Lease, now_ns
    host, port = cassandra.rsplit(":", 1)
    name = "coord_" + uuid.uuid4().hex[:8]
    cluster = Cluster([host], port=int(port))
    cql = cluster.connect()
    try:
        cql.execute("CREATE KEYSPACE %s WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}" % name)
        cql.execute("CREATE TABLE %s.t (k text PRIMARY KEY, n bigint)" % name)
        lease = Lease(end=lambda: None)
        lease.until_ns = now_ns() + 60 * 10**9
        slept, awake = lease.stamp_us(), lease.stamp_us()
        columns = [("k", "text"), ("n", "bigint")]
        for ttl in (0, 600):
            for rows, stamp in (([("a", 1)], slept), ([("a", 2), ("b", 1)], awake), ([("a", 1)], slept)):
                tables.write_partition(rows, (cassandra, None, None, "datacenter1"), name, "t", columns, False, ttl, stamp)
            assert {r.k: r.n for r in cql.execute("SELECT k, n FROM %s.t" % name)} == {"a": 2, "b": 1}
    finally:
        cql.execute("DROP KEYSPACE IF EXISTS " + name, timeout=60)
        cluster.shutdown()


if __name__ == "__main__":
    pytest.main([__file__, "-x", "-q"])
