"""One cell of the matrix: the pipelines over a broker, an engine and a store, from the same records to rows that can be compared.

A cell's project holds the tables and pipelines of all three (earthquakes, users, operators) with a prefix before every topic and keyspace, so that many
cells share the real servers. Records are made once; `run` gives {pipeline: {table or topic: Answer}}.
"""
import collections
import glob
import json
import os
import random
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "tests", "e2e"), os.path.join(HERE, "pipelines", "operators"), os.path.join(ROOT, "examples", "users", "dags")]
from instance import Instance, up_until_idle  # noqa: E402

PROJECTS = {
    "earthquakes": os.path.join(ROOT, "examples", "earthquakes"),
    "users": os.path.join(ROOT, "examples", "users"),
    "operators": os.path.join(HERE, "pipelines", "operators"),
}
PARTITIONS = {"earthquakes": 1, "users_created": 3}

Answer = collections.namedtuple("Answer", "columns rows")  # columns: [(name, type)], rows: {key: row}


def records(pipeline):
    """[(topic, key, value)], the same at every call."""
    if pipeline == "earthquakes":
        with open(os.path.join(PROJECTS[pipeline], "data", "usgs-all-week-2018-02-07.geojson"), encoding="utf-8") as f:
            return [("earthquakes", e["id"], json.dumps(e)) for e in json.load(f)["features"]]
    if pipeline == "users":
        import people
        rng, out = random.Random(7), []
        for i in range(200):
            p = people.person(rng)
            place = p["location"]
            user = {
                "id": "%032x" % rng.getrandbits(128), "first_name": p["name"]["first"], "last_name": p["name"]["last"], "gender": p["gender"],
                "address": "%d %s, %s" % (place["street"]["number"], place["street"]["name"], place["city"]), "post_code": place["postcode"], "email": p["email"],
                "username": p["login"]["username"], "registered_date": "2020-01-01T00:00:%02d.000Z" % (i % 60), "phone": "555-%d" % i, "picture": "p.jpg",
            }
            h = user["id"]
            user["id"] = "-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))
            out.append(("users_created", None, json.dumps(user)))
        return out
    import events
    return [(topic, key, value) for topic, key, value, _ in events.events()]


class Names:
    """What the pipelines call their topics, keyspaces and tables, read from their files."""

    def __init__(self, project):
        self.sql = "\n".join(open(f, encoding="utf-8").read() for f in sorted(glob.glob(project + "/pipelines/*.sql")))
        self.cql = "\n".join(open(f, encoding="utf-8").read() for f in sorted(glob.glob(project + "/tables/*.cql")))
        self.read = set(re.findall(r"subscribe '(\w+)'", self.sql))
        self.written = set(re.findall(r"\(topic '(\w+)'", self.sql))
        self.keyspaces = set(re.findall(r"CREATE KEYSPACE IF NOT EXISTS (\w+)", self.cql))
        sinks = re.findall(r"CREATE STREAMING TABLE \w+ USING cassandra OPTIONS \(keyspace '(\w+)', table '(\w+)'", self.sql)
        self.tables = sorted(set(sinks))
        self.queries = re.findall(r"CREATE STREAMING TABLE (\w+)", self.sql)


def make_project(folder, pipelines, prefix, with_queries=True):
    os.makedirs(os.path.join(folder, "tables"))
    os.makedirs(os.path.join(folder, "pipelines"))
    for name in pipelines:
        project = PROJECTS[name]
        names = Names(project)
        for path in glob.glob(project + "/tables/*.cql"):
            text = open(path, encoding="utf-8").read()
            for keyspace in names.keyspaces:
                text = re.sub(r"\b%s(?=\.| WITH)" % keyspace, prefix + keyspace, text)
            with open(os.path.join(folder, "tables", os.path.basename(path)), "w", encoding="utf-8") as f:
                f.write(text)
        for path in glob.glob(project + "/pipelines/*.sql") if with_queries else []:
            text = re.sub(r"\b(subscribe|topic|keyspace) '", r"\1 '" + prefix, open(path, encoding="utf-8").read())
            with open(os.path.join(folder, "pipelines", os.path.basename(path)), "w", encoding="utf-8") as f:
                f.write(text)
    open(os.path.join(folder, "tidemill.yaml"), "w").close()
    return folder


def kcat(*args, input=None):
    run = subprocess.run(["kcat", *args], input=input, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    assert run.returncode == 0, "kcat %s: %s" % (" ".join(args), run.stderr.decode()[-1000:])
    return run.stdout.decode("utf-8")


def produce(broker, prefix, pipelines):
    """Every record goes to partition i mod n of its topic, in order."""
    parts = collections.defaultdict(list)
    for name in pipelines:
        for i, (topic, key, value) in enumerate(records(name)):
            parts[topic, i % PARTITIONS.get(topic, 1)].append("%s\t%s" % (key or "", value))
    for (topic, partition), lines in sorted(parts.items()):
        kcat("-P", "-b", broker, "-t", prefix + topic, "-p", str(partition), "-K", "\t", "-Z", "-X", "linger.ms=5", input=("\n".join(lines) + "\n").encode())


class Topics:
    """Making and removing topics on a broker, by its own clients' admin calls (confluent-kafka, in Spark's environment)."""

    def __init__(self, python, broker):
        self.python, self.broker = python, broker

    def call(self, what, names):
        code = ("import sys\nfrom confluent_kafka.admin import AdminClient, NewTopic\na = AdminClient({'bootstrap.servers': sys.argv[1]})\n"
                "names = dict(n.split(':') for n in sys.argv[3:])\n"
                "fs = a.create_topics([NewTopic(n, int(p), 1) for n, p in names.items()]) if sys.argv[2] == 'create' else a.delete_topics(list(names))\n"
                "[f.result(30) for f in fs.values()]\n")
        run = subprocess.run([self.python, "-c", code, self.broker, what, *("%s:%d" % n for n in names.items())], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             universal_newlines=True, timeout=90)
        assert run.returncode == 0, run.stdout[-2000:]


def plain(value):
    """Values of the driver as comparable values; sets and maps of its own become Python's."""
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    kind = type(value).__name__
    if kind in ("SortedSet", "set", "frozenset"):
        return ("set",) + tuple(sorted(plain(v) for v in value))
    if kind in ("OrderedMapSerializedKey", "OrderedMap", "dict"):
        return ("map",) + tuple(sorted((plain(k), plain(v)) for k, v in value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(plain(v) for v in value)
    return (kind, str(value))  # Decimal with its scale, UUID, Date, datetime


def read_tables(address, prefix, pipelines):
    from cassandra.cluster import Cluster
    from cassandra.policies import WhiteListRoundRobinPolicy
    host, port = address.rsplit(":", 1)
    cluster = Cluster([host], port=int(port), protocol_version=4, load_balancing_policy=WhiteListRoundRobinPolicy([host]), connect_timeout=30)
    session = cluster.connect()
    session.default_timeout = 60
    out = {}
    try:
        for name in pipelines:
            for keyspace, table in Names(PROJECTS[name]).tables:
                meta = cluster.metadata.keyspaces[prefix + keyspace].tables[table]
                columns = sorted((c.name, c.cql_type) for c in meta.columns.values())
                key = [c.name for c in meta.primary_key]
                rows = {}
                for row in session.execute("SELECT %s FROM %s%s.%s" % (", ".join('"%s"' % c for c, _ in columns), prefix, keyspace, table)):
                    values = {c: plain(v) for (c, _), v in zip(columns, row)}
                    rows[tuple(values[k] for k in key)] = values
                out.setdefault(name, {})[table] = Answer(columns, rows)
    finally:
        cluster.shutdown()
    return out


def drop_keyspaces(address, prefix):
    from cassandra.cluster import Cluster
    host, port = address.rsplit(":", 1)
    cluster = Cluster([host], port=int(port), protocol_version=4, connect_timeout=30)
    session = cluster.connect()
    session.default_timeout = 60
    for keyspace in [k for k in cluster.metadata.keyspaces if k.startswith(prefix)]:
        session.execute("DROP KEYSPACE " + keyspace)
    cluster.shutdown()


def read_topics(broker, prefix, pipelines):
    """What the pipelines wrote to topics: rows by key, with how often each value came."""
    out = {}
    for name in pipelines:
        for topic in sorted(Names(PROJECTS[name]).written):
            rows = collections.Counter()
            for line in kcat("-C", "-b", broker, "-t", prefix + topic, "-e", "-q", "-J", "-X", "isolation.level=read_committed").splitlines():
                record = json.loads(line)
                rows[record.get("key"), record.get("payload")] += 1
            out.setdefault(name, {})["topic " + topic] = Answer([("key", "bytes"), ("value", "bytes")], {k: {"times": n} for k, n in rows.items()})
    return out


def near(a, b, ulps):
    import struct
    if not (isinstance(a, float) and isinstance(b, float)):
        return False
    x, y = (struct.unpack("<q", struct.pack("<d", v))[0] for v in (a, b))
    return (a < 0) == (b < 0) and abs(x - y) <= ulps


def differences(want, got, ulps=8):
    """How two {table: Answer} differ, as texts; doubles may be a few units in the last place apart."""
    out = []
    for table in sorted(want):
        if table not in got:
            out.append("%s: is not there" % table)
            continue
        a, b = want[table], got[table]
        if a.columns != b.columns:
            out.append("%s: columns %s" % (table, sorted(set(a.columns) ^ set(b.columns))))
        missing, more = [k for k in a.rows if k not in b.rows], [k for k in b.rows if k not in a.rows]
        if missing or more:
            out.append("%s: %d rows are missing, as %s; %d are too many, as %s" % (table, len(missing), missing[:2], len(more), more[:2]))
        unlike = {}
        for key, row in a.rows.items():
            for column, value in row.items() if key in b.rows else ():
                other = b.rows[key].get(column)
                if (value != other or type(value) is not type(other)) and not near(value, other, ulps):
                    unlike.setdefault(column, []).append((key, value, other))
        for column, cases in sorted(unlike.items()):
            out.append("%s.%s: %d rows, as at %s: %r against %r" % (table, column, len(cases), *cases[0]))
    return out


def count(answers):
    return sum(len(a.rows) for a in answers.values())


class Cell:
    def __init__(self, folder, prefix, pipelines, broker=None, store=None, engine=None, topics=None):
        """broker, store: "host:port" of a real one, None = embedded; engine: the line of tidemill.yaml; topics: gives the Topics of an address."""
        self.folder, self.prefix, self.pipelines, self.topics = str(folder), prefix, pipelines, topics
        self.broker, self.store, self.engine = broker, store, engine
        self.data = os.path.join(self.folder, "data")
        os.makedirs(self.data)

    def environment(self):
        env = {"TIDEMILL_BROKER": "kafka://" + self.broker if self.broker else None, "TIDEMILL_STORE": "cassandra://" + self.store if self.store else None,
               "TIDEMILL_ENGINE": self.engine,
               # A Spark that lives for a minute gains nothing from the second compiler.
               "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC" if self.engine else None}
        return {k: v for k, v in env.items() if v}

    def all_topics(self):
        names = {}
        for name in self.pipelines:
            for topic in Names(PROJECTS[name]).read | Names(PROJECTS[name]).written:
                names[self.prefix + topic] = PARTITIONS.get(topic, 1)
        return names

    def fill(self):
        if self.broker:
            self.topics(self.broker).call("create", self.all_topics())
            produce(self.broker, self.prefix, self.pipelines)
            return
        project = make_project(os.path.join(self.folder, "fill"), self.pipelines, self.prefix, with_queries=False)
        shutil.rmtree(os.path.join(project, "tables"))
        with Instance(project, data=self.data) as i:
            self.topics("127.0.0.1:%d" % i.kafka).call("create", self.all_topics())
            produce("127.0.0.1:%d" % i.kafka, self.prefix, self.pipelines)

    def run(self, timeout=1200):
        """The summary, and the answers."""
        self.fill()
        project = make_project(os.path.join(self.folder, "project"), self.pipelines, self.prefix)
        summary, status = up_until_idle(project, self.data, timeout=timeout, **self.environment())
        assert status == 0 and summary["ok"], json.dumps(summary)[:4000]
        if self.broker and self.store:
            return summary, self.read(self.broker, self.store)
        look = make_project(os.path.join(self.folder, "look"), self.pipelines, self.prefix, with_queries=False)
        with Instance(look, data=self.data) as i:
            return summary, self.read(self.broker or "127.0.0.1:%d" % i.kafka, self.store or "127.0.0.1:%d" % i.cassandra)

    def read(self, broker, store):
        out = read_tables(store, self.prefix, self.pipelines)
        for name, topics in read_topics(broker, self.prefix, self.pipelines).items():
            out[name].update(topics)
        return out

    def clean(self):
        if self.broker:
            self.topics(self.broker).call("delete", self.all_topics())
        if self.store:
            drop_keyspaces(self.store, self.prefix)
