"""One project over any store: what tests/e2e/test_store.py does against our own Cassandra door, tests/stack/test_store.py does against Cassandra.
The embedded store's answer is the one to compare with."""
import json
import os
import random
import subprocess
import time

import instance

KEYSPACE = "CREATE KEYSPACE IF NOT EXISTS %s WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};\n"

TABLES = """USE {ks};
CREATE TABLE IF NOT EXISTS counts (word text PRIMARY KEY, n bigint, last bigint);
CREATE TABLE IF NOT EXISTS events (word text, id bigint, language text, PRIMARY KEY (word, id)) WITH CLUSTERING ORDER BY (id DESC);
CREATE TABLE IF NOT EXISTS latest (slot int PRIMARY KEY, id bigint, word text);
CREATE TABLE IF NOT EXISTS notes (word text, id bigint, newest text STATIC, PRIMARY KEY (word, id));
CREATE TABLE IF NOT EXISTS tagged (id bigint PRIMARY KEY, tags list<text>);
CREATE TABLE IF NOT EXISTS languages (word text PRIMARY KEY, language text);
INSERT INTO languages (word, language) VALUES ('hello', 'en');
INSERT INTO languages (word, language) VALUES ('salut', 'fr');
"""

PIPELINE = """
CREATE TEMPORARY VIEW lines USING kafka OPTIONS (subscribe 'words', startingOffsets 'earliest'{limit});
CREATE TEMPORARY VIEW languages USING cassandra OPTIONS (keyspace '{ks}', table 'languages');
CREATE TEMPORARY VIEW events AS
  SELECT CAST(split(CAST(value AS STRING), ' ')[0] AS BIGINT) AS id, split(CAST(value AS STRING), ' ')[1] AS word FROM STREAM lines;
CREATE STREAMING TABLE counts USING cassandra OPTIONS (keyspace '{ks}', table 'counts', outputMode 'update') AS
  SELECT word, count(*) AS n, max(id) AS last FROM STREAM events GROUP BY word;
CREATE STREAMING TABLE all_events USING cassandra OPTIONS (keyspace '{ks}', table 'events') AS
  SELECT events.word, events.id, languages.language FROM STREAM events LEFT JOIN languages ON events.word = languages.word;
CREATE STREAMING TABLE latest USING cassandra OPTIONS (keyspace '{ks}', table 'latest') AS
  SELECT CAST(id % 7 AS INT) AS slot, id, word FROM STREAM events;
CREATE STREAMING TABLE notes USING cassandra OPTIONS (keyspace '{ks}', table 'notes') AS
  SELECT word, id % 50 AS id, concat('seen ', CAST(id AS STRING)) AS newest FROM STREAM events;
CREATE STREAMING TABLE tagged USING cassandra OPTIONS (keyspace '{ks}', table 'tagged') AS
  SELECT id, array(word, 'x', word) AS tags FROM STREAM events;
"""
WORDS = ["hello", "salut", "ahoj", "xyz"]


def project(folder, keyspace, limit=None):
    """The files; the store is chosen by the environment (TIDEMILL_STORE)."""
    for name in ("tables", "pipelines"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    with open(os.path.join(folder, "tables", "01.cql"), "w", encoding="utf-8") as f:
        f.write(KEYSPACE % keyspace + TABLES.format(ks=keyspace))
    with open(os.path.join(folder, "pipelines", "words.sql"), "w", encoding="utf-8") as f:
        f.write(PIPELINE.format(ks=keyspace, limit=", maxOffsetsPerTrigger '%d'" % limit if limit else ""))
    return str(folder)


class Feed:
    """Records `id word`, and what the tables must hold in the end."""

    def __init__(self, seed=1):
        self.random, self.next = random.Random(seed), 0
        self.words = []

    def lines(self, n):
        fresh = [self.random.choice(WORDS) for _ in range(n)]
        text = "".join("%d %s\n" % (self.next + i, word) for i, word in enumerate(fresh))
        self.words += fresh
        self.next += n
        return text

    def send(self, project_dir, data, n):
        run = instance.command("topic", "produce", "words", project=project_dir, data=data, input=self.lines(n))
        assert run.returncode == 0, run.stderr

    def expected(self):
        counts, latest = {}, {}
        for i, word in enumerate(self.words):
            n, _ = counts.get(word, (0, 0))
            counts[word] = (n + 1, i)
            latest[i % 7] = (i, word)
        language = {"hello": "en", "salut": "fr"}
        return {
            "counts": sorted([w, n, last] for w, (n, last) in counts.items()),
            "events": sorted([w, i, language.get(w)] for i, w in enumerate(self.words)),
            "latest": sorted([s, i, w] for s, (i, w) in latest.items()),
            "tagged": sorted([i, [w, "x", w]] for i, w in enumerate(self.words)),
            "notes": sorted({(w, i % 50, "seen %d" % counts[w][1]) for i, w in enumerate(self.words)}),
        }


COLUMNS = {"counts": "word, n, last", "events": "word, id, language", "latest": "slot, id, word", "notes": "word, id, newest", "tagged": "id, tags"}


def query(up, text):
    """Rows of a CQL statement through the instance's API (which asks the store that is)."""
    answer = up.sql(text)
    assert "error" not in answer, answer
    return answer["rows"]


def tables(up, keyspace):
    """All rows, through Tidemill's SQL (pages of 5,000 rows from an outside store)."""
    return {name: sorted(query(up, "SELECT %s FROM %s.%s" % (columns, keyspace, name))) for name, columns in COLUMNS.items()}


def same(got, wanted):
    for name in COLUMNS:
        a, b = [list(map(plain, r)) for r in got[name]], [list(map(plain, r)) for r in wanted[name]]
        assert len(a) == len(b), "%s: %d rows, not %d" % (name, len(a), len(b))
        different = [(x, y) for x, y in zip(a, b) if x != y]
        assert not different, "%s: %d rows differ, as %s" % (name, len(different), different[:3])


def plain(v):
    return int(v) if isinstance(v, str) and v.lstrip("-").isdigit() else v


def written(up):
    """Rows that each query has read so far."""
    return {p["name"]: p["rows_read"] for p in up.get("/api/status")["pipelines"]}


def all_read(up, n):
    return all(p["rows_read"] >= n or p["state"] == "failed" for p in up.get("/api/status")["pipelines"])


def settled(up, keyspace, feed):
    """The tables once all that was fed has come through every query; None before."""
    rows = query(up, "SELECT sum(n) FROM %s.counts" % keyspace)
    if not rows[0][0] or int(rows[0][0]) < feed.next:
        return None
    got, wanted = tables(up, keyspace), feed.expected()
    if any(len(got[name]) < len(wanted[name]) for name in COLUMNS) or got["latest"] != wanted["latest"]:
        return None  # some query is behind
    time.sleep(0.5)
    return tables(up, keyspace)


ONE_QUERY = """CREATE TEMPORARY VIEW l USING kafka OPTIONS (subscribe 'words');
CREATE STREAMING TABLE t USING cassandra OPTIONS (keyspace '%s', table '%s') AS SELECT CAST(value AS STRING) AS %s FROM STREAM l;
"""


def refused(project_dir, data, store, *words):
    """`up` with this store ends before a pipeline starts, and says all of words (and no password)."""
    run = subprocess.run([instance.binary(), "up", project_dir, "--until-idle"], env=instance.environment(data, TIDEMILL_STORE=store),
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=60)
    assert run.returncode not in (0, -6, -11), run.stderr
    for word in words:
        assert word in run.stderr, (word, run.stderr)
    assert "s3cret" not in run.stderr


# ---- every type ----

TYPES_CQL = """USE {ks};
CREATE TYPE IF NOT EXISTS place (lat double, name text);
CREATE TABLE IF NOT EXISTS every (
  id int PRIMARY KEY, t text, a ascii, b bigint, i int, s smallint, y tinyint, v varint, d double, f float, o boolean, e decimal, x blob, u uuid,
  m timeuuid, n inet, j date, k timestamp, l list<int>, c set<text>, p map<text, int>, q frozen<list<frozen<map<text, double>>>>,
  r frozen<place>, z frozen<tuple<int, text>>);
CREATE TABLE IF NOT EXISTS every_key (
  t text, u uuid, b bigint, k timestamp, e decimal, d double, x blob, v int, PRIMARY KEY ((t, u), b, k, e, d, x)) WITH CLUSTERING ORDER BY (b DESC, k ASC, e DESC, d ASC, x DESC);
"""
TYPES_SQL = """
CREATE TEMPORARY VIEW raw USING kafka OPTIONS (subscribe 'every', startingOffsets 'earliest');
CREATE TEMPORARY VIEW j AS SELECT r.* FROM (SELECT from_json(CAST(value AS STRING),
  'id INT, t STRING, b BIGINT, d DOUBLE, e DECIMAL(30,10), x STRING, u STRING, n STRING, j DATE, k TIMESTAMP, l ARRAY<INT>, p MAP<STRING, INT>, q ARRAY<MAP<STRING, DOUBLE>>') AS r FROM STREAM raw);
CREATE STREAMING TABLE every USING cassandra OPTIONS (keyspace '{ks}', table 'every') AS
  SELECT id, t, upper(n) AS a, b, id * -1000 AS i, CAST(id AS SMALLINT) AS s, CAST(id AS TINYINT) AS y, CAST(e AS DECIMAL(30,0)) AS v, d, CAST(d AS FLOAT) AS f,
    id % 2 = 0 AS o, e, unbase64(x) AS x, u, '50554d6e-29bb-11e5-b345-feff819cdc9f' AS m, n, j, k, l, array(t, 'x') AS c, p, q,
    named_struct('lat', d, 'name', t) AS r, named_struct('f0', id, 'f1', t) AS z FROM STREAM j;
CREATE STREAMING TABLE every_key USING cassandra OPTIONS (keyspace '{ks}', table 'every_key') AS
  SELECT t, u, b, k, e, d, unbase64(x) AS x, id AS v FROM STREAM j;
"""
EVERY = [
    {"id": 1, "t": "one", "b": 9007199254740993, "d": 1.5, "e": "12345678901234567890.0123456789", "x": "AAEC/w==", "u": "5c4f0b0e-86e8-4d2c-9a0e-1b2c3d4e5f60",
     "n": "127.0.0.1", "j": "2026-11-29", "k": "2026-11-29T01:02:03.456Z", "l": [3, 1, 2], "p": {"a": 1, "b": -2}, "q": [{"x": 1.25}, {}], "w": [1, 0.5, -2]},
    {"id": 2, "t": "Þrír 三 \U0001f600", "b": -9223372036854775808, "d": -0.0, "e": "-0.0000000001", "x": "", "u": "00000000-0000-0000-0000-000000000000",
     "n": "::1", "j": "1969-07-20", "k": "1969-07-20T20:17:40Z", "l": [], "p": {}, "q": [], "w": [0, 0, 0]},
    {"id": 3, "t": "", "b": 0, "d": 1e300, "e": "0", "x": "eA==", "u": "ffffffff-ffff-4fff-bfff-ffffffffffff", "n": "10.255.0.1", "j": "0001-01-01",
     "k": "9999-12-31T23:59:59.999Z", "l": [-2147483648, 2147483647], "p": {"": 0}, "q": [{"n": -1e-300}], "w": [3.5, 1, 1]},
    {"id": 4, "t": "only a key", "b": 4, "d": 4, "e": "4", "x": "BA==", "u": "5c4f0b0e-86e8-4d2c-9a0e-1b2c3d4e5f64", "n": None, "j": None, "k": "2000-01-01T00:00:00Z"},
    {"id": None, "t": "no key", "b": 5, "d": 5, "e": "5", "x": "BQ==", "u": "not a uuid", "n": "nowhere", "k": "2000-01-01T00:00:00Z"},
]


def types_project(folder, keyspace):
    for name in ("tables", "pipelines"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    with open(os.path.join(folder, "tables", "01.cql"), "w", encoding="utf-8") as f:
        f.write(KEYSPACE % keyspace + TYPES_CQL.format(ks=keyspace))
    with open(os.path.join(folder, "pipelines", "every.sql"), "w", encoding="utf-8") as f:
        f.write(TYPES_SQL.format(ks=keyspace))
    return str(folder)


def types_run(folder, keyspace, data, **env):
    """What both tables hold, as CQL's bytes (in JSON) and as SQL's values, and the dead letters."""
    os.makedirs(data, exist_ok=True)
    with instance.Instance(types_project(folder, keyspace), data=data, **env) as up:
        lines = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in EVERY)
        run = instance.command("topic", "produce", "every", project=str(folder), data=data, input=lines)
        assert run.returncode == 0, run.stderr
        up.wait(lambda: all_read(up, len(EVERY)))
        assert not [p for p in up.get("/api/status")["pipelines"] if p["state"] == "failed"], up.output()
        answers = [up.cql("SELECT * FROM %s.every" % keyspace), up.cql("SELECT * FROM %s.every_key" % keyspace),
                   up.sql("SELECT * FROM %s.every ORDER BY id" % keyspace), up.sql("SELECT * FROM %s.every_key" % keyspace),
                   up.sql("SELECT query, reason, count(*) AS n FROM tidemill.dead_letters GROUP BY query, reason ORDER BY query, reason")]
    for a in answers:
        assert "error" not in a, a
        a["rows"].sort(key=json.dumps)
    return answers
