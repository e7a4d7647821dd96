"""Tables of Cassandra where Spark has no connector (4.0 and newer), by the Python driver: a source that is read anew by every batch, and
the writer of foreachBatch. Both run in Spark's Python workers; a worker keeps its connection."""
import threading

from . import cells

_lock = threading.Lock()
_sessions = {}
_prepared = {}
IN_FLIGHT = 128  # requests of one worker at a time


def columns_of(where, keyspace, table):
    """[(name, CQL type, kind)] from the server, where the description does not say."""
    meta = session(where).cluster.metadata.keyspaces[keyspace].tables[table]
    key, clustering = {c.name for c in meta.partition_key}, {c.name for c in meta.clustering_key}
    return [(c.name, c.cql_type, "partition_key" if c.name in key else "clustering" if c.name in clustering else "static" if c.is_static else "regular")
            for c in meta.columns.values()]


def session(where):
    """A connection to where (a tuple: hosts, user, password, local_dc), made once per process."""
    with _lock:
        if where not in _sessions:
            from cassandra import ConsistencyLevel
            from cassandra.auth import PlainTextAuthProvider
            from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
            from cassandra.policies import DCAwareRoundRobinPolicy, RoundRobinPolicy, TokenAwarePolicy

            hosts, user, password, local_dc = where
            points = [(h.rsplit(":", 1)[0].strip("[]"), int(h.rsplit(":", 1)[1])) for h in hosts.split(",")]
            policy = TokenAwarePolicy(DCAwareRoundRobinPolicy(local_dc=local_dc) if local_dc else RoundRobinPolicy())
            profile = ExecutionProfile(load_balancing_policy=policy, request_timeout=30, consistency_level=ConsistencyLevel.LOCAL_QUORUM)
            cluster = Cluster(points, port=points[0][1], execution_profiles={EXEC_PROFILE_DEFAULT: profile},
                              auth_provider=PlainTextAuthProvider(user, password) if user else None, connect_timeout=10)
            _sessions[where] = cluster.connect()
        return _sessions[where]


def prepare(where, text):
    with _lock:
        known = _prepared.get((where, text))
    if not known:
        known = session(where).prepare(text)
        with _lock:
            _prepared[(where, text)] = known
    return known


def quote(name):
    return '"' + name.replace('"', '""') + '"'


# ---- writing ----
def write_partition(rows, where, keyspace, table, columns, ignore_nulls, ttl, stamp_us=None):
    """Sends the rows, many at a time, and returns when all are acknowledged. A batch that Spark runs again writes the same rows again. stamp_us: the
    timestamp of their cells (lease.py); None: the moment of each write."""
    from cassandra.concurrent import execute_concurrent_with_args
    from cassandra.query import UNSET_VALUE

    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return
    using = (["TTL %d" % ttl] if ttl else []) + (["TIMESTAMP ?"] if stamp_us else [])
    text = "INSERT INTO %s.%s (%s) VALUES (%s)%s" % (quote(keyspace), quote(table), ", ".join(quote(n) for n, _ in columns),
                                                     ", ".join("?" * len(columns)), " USING " + " AND ".join(using) if using else "")
    last = (stamp_us,) if stamp_us else ()
    converts = [cells.to_cassandra(cells.parse(t)) for _, t in columns]
    nothing = UNSET_VALUE if ignore_nulls else None

    def arguments():
        row = first
        while row is not None:
            yield tuple(nothing if v is None else c(v) for c, v in zip(converts, row)) + last
            row = next(rows, None)

    statement = prepare(where, text)
    statement.is_idempotent = True
    for ok, result in execute_concurrent_with_args(session(where), statement, arguments(), concurrency=IN_FLIGHT, results_generator=True):
        if not ok:
            raise result


# ---- reading ----
def source():
    """The class of the data source `tidemill_cassandra`; made here, as only Spark 4 has what it is made of."""
    from pyspark.sql.datasource import DataSource, DataSourceReader

    class Reader(DataSourceReader):
        def __init__(self, options):
            self.options = dict(options)

        def read(self, partition):
            o = self.options
            columns = [(n, cells.parse(t)) for n, t in zip(o["columns"].split("\x1f"), o["types"].split("\x1f"))]
            converts = [cells.optional(cells.from_cassandra(t)) for _, t in columns]
            text = "SELECT %s FROM %s.%s" % (", ".join(quote(n) for n, _ in columns), quote(o["keyspace"]), quote(o["table"]))
            for row in session(where_of(o)).execute(text):
                yield tuple(c(v) for c, v in zip(converts, row))

    class CassandraTable(DataSource):
        @classmethod
        def name(cls):
            return "tidemill_cassandra"

        def schema(self):
            return schema_of(self.options)

        def reader(self, schema):
            return Reader(self.options)

    return CassandraTable


def where_of(options):
    return (options["hosts"], options.get("user") or None, options.get("password") or None, options.get("local_dc") or None)


def schema_of(options):
    names, types = options["columns"].split("\x1f"), options["types"].split("\x1f")
    return ", ".join("`%s` %s" % (n, cells.spark_type(cells.parse(t))) for n, t in zip(names, types))
