"""A Kafka of its own, a project that copies from topic to topic and into tables, and the count of what came: for the tests of a real broker."""
import collections
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import instance

HERE = os.path.dirname(os.path.abspath(__file__))
CQL = """CREATE KEYSPACE IF NOT EXISTS f WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};
CREATE TABLE IF NOT EXISTS f.rows (id bigint PRIMARY KEY, v text);
CREATE TABLE IF NOT EXISTS f.counts (k text PRIMARY KEY, n bigint);
"""
SQL = """CREATE TEMPORARY VIEW raw USING kafka OPTIONS (kafka.bootstrap.servers 'broker:29092', subscribe '%(in)s', startingOffsets 'earliest'%(view)s);
CREATE STREAMING TABLE %(p)scopied USING kafka OPTIONS (topic '%(out)s'%(sink)s) AS SELECT key, value FROM STREAM raw;
CREATE STREAMING TABLE rows USING cassandra OPTIONS (keyspace 'f', table 'rows') AS
  SELECT CAST(CAST(value AS STRING) AS BIGINT) AS id, CAST(key AS STRING) AS v FROM STREAM raw;
CREATE STREAMING TABLE counts USING cassandra OPTIONS (keyspace 'f', table 'counts', outputMode 'update') AS
  SELECT CAST(key AS STRING) AS k, count(*) AS n FROM STREAM raw GROUP BY CAST(key AS STRING);
"""
KEYS = 7


def free_ports(n):
    """As many neighbours as a server wants; from TM_PORTBASE on where that is set."""
    held = []
    base = os.environ.get("TM_PORTBASE")
    for i in range(n):
        s = socket.socket()
        for port in range(int(base) + 10, int(base) + 90) if base else [0]:
            try:
                s.bind(("127.0.0.1", port))
                break
            except OSError:
                continue
        held.append(s)
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


class Kafka:
    """A broker that may be killed and paused. listeners: further ones, as NAME://address:port, in plain text unless protocol says otherwise."""

    def __init__(self, name, directory, listeners=(), options=()):
        self.name, self.data = name, str(directory)
        self.port, self.second = free_ports(2)
        self.script = os.path.join(HERE, name + ".sh")
        self.options = list(options)
        if listeners:
            own = ["PLAINTEXT://127.0.0.1:%d" % self.port] + list(listeners)
            control = ["CONTROLLER://127.0.0.1:%d" % self.second] if name == "kafka4" else []
            names = {entry.split(":")[0]: "PLAINTEXT" for entry in own + control}
            names.update({n: "SASL_SSL" if n.endswith("TLS") else "SASL_PLAINTEXT" for n in names if n.startswith("SASL")})
            self.options += ["listeners=" + ",".join(own + control), "advertised.listeners=" + ",".join(own + control),
                             "listener.security.protocol.map=" + ",".join("%s:%s" % pair for pair in names.items()), "inter.broker.listener.name=PLAINTEXT"]

    def run(self, action, *more):
        words = [self.script, action, "-p", str(self.port), "-d", self.data, "-m", "512m"]
        words += ["-c", str(self.second)] if self.name == "kafka4" else ["-q", str(self.second)]
        for option in self.options:
            words += ["-o", option]
        return subprocess.run(words + list(more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=240)

    def start(self):
        done = self.run("start")
        assert done.returncode == 0, done.stdout
        return self

    def pid(self):
        with open(os.path.join(self.data, "pid"), encoding="utf-8") as f:
            return int(f.read().split()[0])

    def signal(self, number):
        os.kill(self.pid(), number)

    def kill(self):
        pid = self.pid()
        os.kill(pid, signal.SIGKILL)
        while self.alive(pid):
            time.sleep(0.05)

    @staticmethod
    def alive(pid):
        try:
            with open("/proc/%d/stat" % pid, encoding="utf-8") as f:
                return not f.read().rsplit(")", 1)[1].split()[0] in "ZX"
        except OSError:
            return False

    def stop(self):
        try:
            self.signal(signal.SIGCONT)
        except (OSError, ValueError):
            pass
        self.run("wipe")
        shutil.rmtree(self.data, ignore_errors=True)

    @property
    def address(self):
        return "127.0.0.1:%d" % self.port

    def tool(self, klass, *words):
        return subprocess.run([self.script, "tool", klass, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=120).stdout


def make_topic(address, name, partitions):
    """By the broker's own answer to a project's request."""
    script = os.path.join(HERE, "kafka4.sh")
    done = subprocess.run([script, "tool", "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", address, "--create", "--topic", name, "--partitions",
                           str(partitions)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=120)
    assert done.returncode == 0 or "already exists" in done.stdout, done.stdout  # where it was slow, the tool asks twice


def delete_topics(address, prefix):
    subprocess.run([os.path.join(HERE, "kafka4.sh"), "tool", "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", address, "--delete", "--topic",
                    prefix + ".*"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)


def project(directory, address, prefix="", sink="", view=""):
    top = str(directory)
    words = {"in": prefix + "in", "out": prefix + "out", "p": prefix, "sink": sink, "view": view}
    for folder, name, text in (("pipelines", "p.sql", SQL % words), ("tables", "t.cql", CQL)):
        os.makedirs(os.path.join(top, folder))
        with open(os.path.join(top, folder, name), "w", encoding="utf-8") as f:
            f.write(text)
    with open(os.path.join(top, "tidemill.yaml"), "w", encoding="utf-8") as f:
        f.write("broker: kafka://%s\n" % address)
    return top


class Feed(threading.Thread):
    """Numbers 0, 1, 2, … into a topic, at a rate, by kcat with an idempotent producer: it outlives the broker's absences itself."""

    def __init__(self, address, topic, total, per_second):
        super().__init__(daemon=True)
        self.total, self.per_second = total, per_second
        self.kcat = subprocess.Popen(["kcat", "-E", "-b", address, "-P", "-t", topic, "-K", ":", "-X", "enable.idempotence=true", "-X", "linger.ms=5", "-X",
                                      "message.timeout.ms=600000", "-X", "socket.timeout.ms=10000"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def run(self):
        step = max(1, self.per_second // 50)
        for at in range(0, self.total, step):
            lines = "".join("k%d:%d\n" % (i % KEYS, i) for i in range(at, min(at + step, self.total)))
            self.kcat.stdin.write(lines.encode())
            self.kcat.stdin.flush()
            time.sleep(step / self.per_second)
        self.kcat.stdin.close()
        self.kcat.wait()


def values(address, topic):
    """All committed values of a topic and how often each is there."""
    run = subprocess.run(["kcat", "-b", address, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%s\n", "-X", "isolation.level=read_committed"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=180)
    assert run.returncode == 0, run.stderr
    return collections.Counter(int(line) for line in run.stdout.split())


def counts(up):
    answer = up.cql("SELECT k, n FROM f.counts")
    return {row[0]: int(row[1]) for row in answer["rows"]}


def all_there(up, total):
    pipelines = up.get("/api/status")["pipelines"]
    assert all(p["state"] == "running" for p in pipelines), json.dumps(pipelines)[:3000]
    tables = {t["name"]: t["rows"] for t in up.get("/api/tables")}
    return tables.get("rows") == total and sum(counts(up).values()) == total


def check(up, address, prefix, total):
    """Nothing lost, nothing twice: in the topic, in the table, in the counts."""
    up.wait(lambda: all_there(up, total), timeout=120)
    up.wait(lambda: sum(values(address, prefix + "out").values()) >= total, timeout=120)
    got = values(address, prefix + "out")
    assert len(got) == total and max(got) == total - 1, "lost: %d of %d" % (total - len(got), total)
    twice = {v: n for v, n in got.items() if n > 1}
    assert not twice, "%d twice: %s" % (len(twice), sorted(twice)[:10])
    assert counts(up) == {"k%d" % k: len(range(k, total, KEYS)) for k in range(KEYS)}


def open_project(top, data):
    os.makedirs(data, exist_ok=True)
    return instance.Instance(top, data=data)
