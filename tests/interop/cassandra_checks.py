"""Run by test_cassandra_drivers.py in an interpreter that has a Cassandra driver: cassandra_checks.py PORT VERSION lz4|plain
VERSION 0 lets the driver find it. Prints what was checked; ends with 1 at the first thing that is wrong."""
import collections
import datetime
import decimal
import ipaddress
import sys
import threading
import time
import traceback
import uuid

import cassandra
from cassandra import ConsistencyLevel, InvalidRequest
from cassandra.cluster import Cluster
from cassandra.concurrent import execute_concurrent, execute_concurrent_with_args
from cassandra.query import BatchStatement, BatchType, SimpleStatement, named_tuple_factory
from cassandra.util import Date, Duration, OrderedMapSerializedKey, SortedSet, Time

HAS_VECTOR = tuple(int(p) for p in cassandra.__version__.split(".")[:2]) >= (3, 28)


def check(what, got, want):
    if got != want:
        raise AssertionError(f"{what}: {got!r}, not {want!r}")


def ddl(session, cluster):
    session.execute("DROP KEYSPACE IF EXISTS it")
    session.execute("CREATE KEYSPACE it WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
    session.set_keyspace("it")
    session.execute("CREATE TYPE address (street text, zip int, tags set<text>)")
    session.execute("CREATE TABLE users (id uuid, at timestamp, name text, home frozen<address>, shared text static, "
                    "PRIMARY KEY (id, at)) WITH CLUSTERING ORDER BY (at DESC) AND comment = 'people'")
    session.execute("CREATE INDEX by_name ON users (name)")
    cluster.refresh_schema_metadata()
    keyspace = cluster.metadata.keyspaces["it"]
    table = keyspace.tables["users"]
    check("partition key", [c.name for c in table.partition_key], ["id"])
    check("clustering key", [(c.name, c.is_reversed) for c in table.clustering_key], [("at", True)])
    check("columns", {n: c.cql_type for n, c in table.columns.items()},
          {"id": "uuid", "at": "timestamp", "name": "text", "home": "frozen<address>", "shared": "text"})
    check("static", [n for n, c in table.columns.items() if c.is_static], ["shared"])
    check("comment", table.options["comment"], "people")
    check("index", list(table.indexes), ["by_name"])
    check("type", keyspace.user_types["address"].field_names, ["street", "zip", "tags"])
    check("replication", keyspace.replication_strategy.name, "SimpleStrategy")
    check("has system keyspaces", {"system", "system_schema"} <= set(cluster.metadata.keyspaces), True)
    if "CREATE TABLE it.users" not in table.export_as_string():
        raise AssertionError(table.export_as_string())
    check("partitioner", cluster.metadata.partitioner, "org.apache.cassandra.dht.Murmur3Partitioner")
    host = cluster.metadata.all_hosts()[0]
    check("host", (host.datacenter, host.rack), ("datacenter1", "rack1"))


VALUES = [
    ("ascii", "plain"), ("bigint", -2**63), ("blob", b"\x00\xff"), ("boolean", True), ("date", Date(datetime.date(2024, 2, 29))),
    ("decimal", decimal.Decimal("-1.50")), ("double", 2.5), ("duration", Duration(1, 2, 3)), ("float", 0.5), ("inet", "192.168.0.1"), ("inet", "::1"),
    ("int", -2**31), ("smallint", -32768), ("text", "žluťoučký 🐎"), ("time", Time("10:11:12.000000013")), ("timestamp", datetime.datetime(2024, 2, 29, 1, 2, 3, 4000)),
    ("timeuuid", uuid.UUID("50554d6e-29bb-11e5-b345-feff819cdc9f")), ("tinyint", -128), ("uuid", uuid.UUID("123e4567-e89b-12d3-a456-426614174000")),
    ("varint", 10**40), ("varint", -129), ("list<int>", [3, 1, 2]), ("set<text>", SortedSet(["b", "a"])), ("map<text, int>", {"a": 1, "b": 2}),
    ("frozen<list<frozen<map<text, int>>>>", [{"x": 1}, {"y": 2}]), ("tuple<int, text, double>", (1, "z", None)), ("frozen<set<int>>", SortedSet([2, 1])),
    ("map<int, frozen<list<text>>>", {1: ["a", "b"]}),
]


def types(session, cluster):
    values = VALUES + ([("vector<float, 3>", [1.0, 2.0, -0.5])] if HAS_VECTOR else [])
    columns = [f"c{i} {t}" for i, (t, _) in enumerate(values)]
    session.execute(f"CREATE TABLE it.types (k int PRIMARY KEY, {', '.join(columns)})")
    names = ", ".join(f"c{i}" for i in range(len(values)))
    insert = session.prepare(f"INSERT INTO it.types (k, {names}) VALUES (?{', ?' * len(values)})")
    session.execute(insert, [1] + [v for _, v in values])
    session.execute(insert, [2] + [None] * len(values))
    for select in (SimpleStatement(f"SELECT {names} FROM it.types WHERE k = 1"), session.prepare(f"SELECT {names} FROM it.types WHERE k = ?").bind([1])):
        row = session.execute(select).one()
        for i, (t, want) in enumerate(values):
            got = row[i]
            if isinstance(got, OrderedMapSerializedKey):
                got = dict(got)
            if t.startswith("list") or t.startswith("frozen<list"):
                got = [dict(g) if isinstance(g, OrderedMapSerializedKey) else g for g in got]
            check(t, got, want)
    check("nulls", list(session.execute(f"SELECT {names} FROM it.types WHERE k = 2").one()), [None] * len(values))
    session.execute("CREATE TABLE it.counters (k text PRIMARY KEY, n counter)")
    for _ in range(3):
        session.execute("UPDATE it.counters SET n = n + 2 WHERE k = 'a'")
    check("counter", session.execute("SELECT n FROM it.counters WHERE k = 'a'").one().n, 6)


def user_types(session, cluster):
    Address = collections.namedtuple("Address", "street zip tags")
    cluster.register_user_type("it", "address", Address)
    insert = session.prepare("INSERT INTO it.users (id, at, name, home, shared) VALUES (?, ?, ?, ?, ?)")
    key, at = uuid.uuid4(), datetime.datetime(2020, 1, 2, 3, 4, 5)
    home = Address("Main", 12345, SortedSet(["x", "y"]))
    session.execute(insert, (key, at, "Ann", home, "s"))
    row = session.execute("SELECT * FROM it.users WHERE id = %s", (key,)).one()
    check("user type", (row.home.street, row.home.zip, set(row.home.tags), row.shared), ("Main", 12345, {"x", "y"}, "s"))
    check("by index", session.execute("SELECT id FROM it.users WHERE name = 'Ann'").one().id, key)


def paging(session, cluster):
    session.execute("CREATE TABLE it.many (p int, c int, v text, PRIMARY KEY (p, c))")
    insert = session.prepare("INSERT INTO it.many (p, c, v) VALUES (?, ?, ?)")
    results = execute_concurrent_with_args(session, insert, [(i % 7, i, f"value {i}") for i in range(10000)], concurrency=200)
    check("all written", sum(ok for ok, _ in results), 10000)
    statement = SimpleStatement("SELECT p, c, v FROM it.many", fetch_size=777)
    rows = list(session.execute(statement))
    check("10,000 rows over pages", len(rows), 10000)
    check("each once", len({r.c for r in rows}), 10000)
    select = session.prepare("SELECT c, v FROM it.many WHERE p = ?")
    select.fetch_size = 100
    got = [r.c for r in session.execute(select, [3])]
    check("a partition in order", got, [i for i in range(10000) if i % 7 == 3])
    first = session.execute(SimpleStatement("SELECT c FROM it.many WHERE p = 0 ORDER BY c DESC", fetch_size=10))
    state = first.paging_state
    check("first page", [r.c for r in first.current_rows], [9996 - 7 * i for i in range(10)])
    second = session.execute(SimpleStatement("SELECT c FROM it.many WHERE p = 0 ORDER BY c DESC", fetch_size=10), paging_state=state)
    check("second page by state", [r.c for r in second.current_rows], [9996 - 7 * i for i in range(10, 20)])
    check("count", session.execute("SELECT count(*) FROM it.many").one()[0], 10000)


def many_at_once(session, cluster):
    session.execute("CREATE TABLE it.kv (k int PRIMARY KEY, v int)")
    insert, select = session.prepare("INSERT INTO it.kv (k, v) VALUES (?, ?)"), session.prepare("SELECT v FROM it.kv WHERE k = ?")
    futures = [session.execute_async(insert, (i, i * i)) for i in range(2000)]
    for f in futures:
        f.result()
    futures = [(i, session.execute_async(select, (i,))) for i in range(2000)]
    for i, f in futures:
        check("value", f.result().one().v, i * i)
    mixed = [(insert, (i, -i)) if i % 2 else (select, (i,)) for i in range(1000)]
    check("mixed", all(ok for ok, _ in execute_concurrent(session, mixed, concurrency=64)), True)


def batches_and_conditions(session, cluster):
    session.execute("CREATE TABLE it.b (k int, c int, v text, PRIMARY KEY (k, c))")
    insert = session.prepare("INSERT INTO it.b (k, c, v) VALUES (?, ?, ?)")
    for kind in (BatchType.LOGGED, BatchType.UNLOGGED):
        batch = BatchStatement(batch_type=kind, consistency_level=ConsistencyLevel.QUORUM)
        for i in range(20):
            batch.add(insert, (kind.value, i, str(i)))
        batch.add(SimpleStatement("INSERT INTO it.b (k, c, v) VALUES (%s, %s, %s)"), (kind.value, 99, "text"))
        session.execute(batch)
        check("batch", session.execute("SELECT count(*) FROM it.b WHERE k = %s", (kind.value,)).one()[0], 21)
    counter = BatchStatement(batch_type=BatchType.COUNTER)
    counter.add(SimpleStatement("UPDATE it.counters SET n = n + 10 WHERE k = 'a'"))
    session.execute(counter)
    check("counter batch", session.execute("SELECT n FROM it.counters WHERE k = 'a'").one().n, 16)
    check("applied", session.execute("INSERT INTO it.b (k, c, v) VALUES (7, 7, 'a') IF NOT EXISTS").was_applied, True)
    check("not applied", session.execute("INSERT INTO it.b (k, c, v) VALUES (7, 7, 'b') IF NOT EXISTS").was_applied, False)
    update = session.prepare("UPDATE it.b SET v = ? WHERE k = 7 AND c = 7 IF v = ?")
    check("condition", [session.execute(update, ("b", "a")).was_applied, session.execute(update, ("c", "a")).was_applied], [True, False])
    check("value", session.execute("SELECT v FROM it.b WHERE k = 7").one().v, "b")
    before = session.execute("SELECT writetime(v) FROM it.b WHERE k = 7").one()[0]
    if abs(before / 1e6 - time.time()) > 300:
        raise AssertionError(f"write time {before}")


def errors(session, cluster):
    for text, kind in (("SELEC", cassandra.protocol.SyntaxException), ("SELECT * FROM it.nope", InvalidRequest), ("CREATE TABLE it.b (k int PRIMARY KEY)", cassandra.AlreadyExists),
                       ("SELECT * FROM it.b WHERE v = 'x'", InvalidRequest)):
        try:
            session.execute(text)
        except kind:
            continue
        raise AssertionError(f"{text} was accepted")


def schema_changes(session, cluster):
    """A change by one connection is seen by another client's metadata, and prepared statements survive it."""
    select = session.prepare("SELECT * FROM it.kv WHERE k = ?")
    check("before", session.execute(select, (3,)).one()._fields, ("k", "v"))
    session.execute("ALTER TABLE it.kv ADD extra text")
    session.execute("INSERT INTO it.kv (k, v, extra) VALUES (3, 4, 'more')")
    row = session.execute(select, (3,)).one()
    check("prepared again by the driver", (row.v, row.extra), (4, "more"))
    check("metadata by event", "extra" in cluster.metadata.keyspaces["it"].tables["kv"].columns, True)


def events(session, cluster, port, options):
    seen = threading.Event()
    other = Cluster(["127.0.0.1"], port=port, **options)
    other.connect()
    try:
        session.execute("CREATE TABLE it.from_another (k int PRIMARY KEY)")
        for _ in range(100):
            if "from_another" in other.metadata.keyspaces["it"].tables:
                seen.set()
                break
            time.sleep(0.05)
        check("the other client was told", seen.is_set(), True)
    finally:
        other.shutdown()


def tracing(session, cluster):
    result = session.execute("SELECT * FROM it.kv WHERE k = 3", trace=True)
    trace = result.get_query_trace(max_wait_sec=5)
    check("trace", trace.request_type is not None and trace.duration is not None, True)


def main():
    port, version, compression = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    options = {"compression": compression == "lz4"}
    if version:
        options["protocol_version"] = version
    if compression == "lz4":
        import lz4  # noqa: F401  the driver falls back to none without a word
    cluster = Cluster(["127.0.0.1"], port=port, **options)
    session = cluster.connect()
    session.row_factory = named_tuple_factory
    if not version:
        check("negotiated", cluster.protocol_version >= 4, True)
    names = [ddl, types, user_types, paging, many_at_once, batches_and_conditions, errors, schema_changes, tracing]
    failed = []
    for test in names:
        try:
            test(session, cluster)
            print(f"ok {test.__name__}", flush=True)
        except Exception:  # noqa: BLE001  each part reports for itself
            failed.append(test.__name__)
            traceback.print_exc()
    try:
        events(session, cluster, port, options)
        print("ok events")
    except Exception:  # noqa: BLE001
        failed.append("events")
        traceback.print_exc()
    session.execute("DROP KEYSPACE IF EXISTS it")
    cluster.shutdown()
    print(f"driver {cassandra.__version__}, protocol {cluster.protocol_version}, {compression}: {len(names) + 1 - len(failed)} ok, failed: {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
