"""What a real Spark is given, without one: the description, the rewriting for versions before 4.1, what `check` refuses, values for
Cassandra. With real Sparks: tests/stack/test_spark_engine.py."""
import datetime
import decimal
import json
import os
import subprocess
import sys
import time
import uuid

import pytest

sys.path[:0] = [os.path.dirname(__file__), os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "python")]
from instance import ROOT, binary, environment  # noqa: E402
from tidemill.spark import cells, errors, lease, plan, rewrite, run  # noqa: E402

RAW = "CREATE TEMPORARY VIEW raw USING kafka OPTIONS (subscribe 't', startingOffsets 'earliest');\n"
VIEW = "CREATE TEMPORARY VIEW v AS SELECT CAST(value AS STRING) AS k, timestamp AS ts FROM STREAM raw;\n"
TABLE = "CREATE STREAMING TABLE out USING console OPTIONS (outputMode 'update') AS\n"


def project(folder, sql, engine=None):
    os.makedirs(os.path.join(folder, "pipelines"), exist_ok=True)
    with open(os.path.join(folder, "pipelines", "p.sql"), "w", encoding="utf-8") as f:
        f.write(sql)
    if engine:
        with open(os.path.join(folder, "tidemill.yaml"), "w", encoding="utf-8") as f:
            f.write("engine: '%s'\n" % engine)
    return str(folder)


def describe(where):
    out = subprocess.run([binary(), "describe", where, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=60)
    assert out.returncode == 0, out.stdout + out.stderr
    return json.loads(out.stdout)


def steps(where):
    return describe(where)["pipelines"][0]["steps"]


def at_3_5(step):
    return rewrite.rewrite(step["text"], step["marks"], (3, 5))


# ---- the description ----
def test_the_description_of_an_example():
    d = describe(os.path.join(ROOT, "examples", "earthquakes"))
    assert d["version"] == 1 and d["kafka"] == {"servers": "127.0.0.1:9092"} and "password" not in d["cassandra"]
    assert d["tables"]["seismic.regions"] == [["suffix", "text", "partition_key"], ["country", "text", "regular"], ["region", "text", "regular"]]
    parts = {s["name"]: s for s in d["pipelines"][0]["steps"]}
    assert parts["quakes_raw"]["kind"] == "source" and parts["quakes_raw"]["options"] == {"subscribe": "earthquakes", "startingOffsets": "earliest"}
    hours = parts["quakes_per_hour"]
    assert (hours["format"], hours["mode"], hours["trigger"]) == ("cassandra", "update", "asap")
    assert hours["options"] == {"keyspace": "seismic", "table": "quakes_per_hour"}
    assert parts["quakes_clean"]["dropDuplicatesWithinWatermark"] == ["key"]
    with open(d["pipelines"][0]["file"], encoding="utf-8") as f:
        text = f.read()
    for s in d["pipelines"][0]["steps"]:
        if "text" in s:  # verbatim, and where it says it is
            assert s["text"] in text
            line = text.split("\n")[s["text_line"] - 1]
            assert line[s["text_column"] - 1:].startswith(s["text"].split("\n")[0])


def test_newer_sparks_get_the_text_as_it_stands():
    for example in ("earthquakes", "users"):
        for s in steps(os.path.join(ROOT, "examples", example)):
            if "text" in s:
                assert rewrite.rewrite(s["text"], s["marks"], (4, 1)) == (s["text"], [])
                assert "STREAM" not in at_3_5(s)[0].upper().replace("STREAMS", "") and "WATERMARK " not in at_3_5(s)[0]
                assert at_3_5(s)[0].count("\n") == s["text"].count("\n")


# ---- rewriting ----
@pytest.mark.parametrize("text, now, watermarks", [
    ("SELECT k FROM STREAM v", "SELECT k FROM `v`", []),
    ("SELECT k FROM STREAM(v)", "SELECT k FROM `v`", []),
    ("SELECT 'FROM STREAM v', \"é\" FROM STREAM v", "SELECT 'FROM STREAM v', \"é\" FROM `v`", []),
    ("SELECT count(*) AS n FROM STREAM v WATERMARK ts DELAY OF INTERVAL 10 MINUTES GROUP BY window(ts, '1 hour')",
     "SELECT count(*) AS n FROM w_1 AS `v` GROUP BY window(ts, '1 hour')", [("w_1", "SELECT * FROM `v`", "ts", "600000000 microseconds")]),
    ("SELECT count(*) AS n FROM STREAM v\n  WATERMARK ts\n  DELAY OF INTERVAL '1' DAY a GROUP BY window(a.ts, '1 hour')",
     "SELECT count(*) AS n FROM w_1\n\n a GROUP BY window(a.ts, '1 hour')", [("w_1", "SELECT * FROM `v`", "ts", "86400000000 microseconds")]),
    ("SELECT count(*) AS n FROM (SELECT * FROM STREAM v WHERE k > 'a') WATERMARK ts DELAY OF INTERVAL 1 SECOND AS x GROUP BY window(x.ts, '1 hour')",
     "SELECT count(*) AS n FROM w_1 AS x GROUP BY window(x.ts, '1 hour')",
     [("w_1", "SELECT * FROM (SELECT * FROM `v` WHERE k > 'a')", "ts", "1000000 microseconds")]),
    ("SELECT count(*) AS n FROM STREAM v WATERMARK ts + INTERVAL 1 SECOND AS later DELAY OF INTERVAL 1 SECOND GROUP BY window(later, '1 hour')",
     "SELECT count(*) AS n FROM w_1 AS `v` GROUP BY window(later, '1 hour')",
     [("w_1", "SELECT ts + INTERVAL 1 SECOND AS `later`, * FROM `v`", "later", "1000000 microseconds")]),
    ("SELECT a.k FROM STREAM v WATERMARK ts DELAY OF INTERVAL 1 SECOND a JOIN STREAM v WATERMARK ts DELAY OF INTERVAL 2 SECONDS b ON a.k = b.k AND a.ts = b.ts",
     "SELECT a.k FROM w_1 a JOIN w_2 b ON a.k = b.k AND a.ts = b.ts",
     [("w_1", "SELECT * FROM `v`", "ts", "1000000 microseconds"), ("w_2", "SELECT * FROM `v`", "ts", "2000000 microseconds")]),
    ("WITH c AS (SELECT k FROM STREAM v) SELECT k FROM c", "WITH c AS (SELECT k FROM `v`) SELECT k FROM c", []),
])
def test_text_for_3_5(tmp_path, text, now, watermarks):
    mode = "append" if "JOIN" in text else "update"
    step = steps(project(tmp_path, RAW + VIEW + TABLE.replace("update", mode) + text + ";"))[-1]
    got, made = rewrite.rewrite(step["text"], step["marks"], (3, 5), "w")
    assert got == now and [tuple(w) for w in made] == watermarks


# ---- check ----
def spark_of(folder, version):
    """A Python whose pyspark is of this version, as far as its metadata goes."""
    site = os.path.join(folder, "site", "pyspark-%s.dist-info" % version)
    os.makedirs(site)
    with open(os.path.join(site, "METADATA"), "w") as f:
        f.write("Metadata-Version: 2.1\nName: pyspark\nVersion: %s\n" % version)
    path = os.path.join(folder, "python")
    with open(path, "w") as f:
        f.write("#!/bin/sh\nPYTHONPATH=%s:$PYTHONPATH exec /usr/bin/python3 \"$@\"\n" % os.path.dirname(site))
    os.chmod(path, 0o755)
    return path


def check(tmp_path, sql, version):
    where = project(tmp_path / "project", sql, "local[2]?python=" + spark_of(str(tmp_path), version))
    out = subprocess.run([binary(), "check", where, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=60)
    return json.loads(out.stdout)


WITH = TABLE + "WITH c AS (SELECT * FROM STREAM v)\nSELECT count(*) AS n FROM c WATERMARK ts DELAY OF INTERVAL 1 SECOND GROUP BY window(ts, '1 hour');"


@pytest.mark.parametrize("version, sql, line, column, says", [
    ("3.5.9", TABLE + "SELECT k,\n  try_parse_json(k) IS NULL AS j FROM STREAM v;", 5, 3, "no function try_parse_json; it came with 4.0"),
    ("3.5.9", TABLE + "FROM STREAM v |> WHERE k > 'a' |> SELECT k;", 4, 15, "no words |>"),
    ("3.5.9", WITH, 5, 29, "cannot be of a common table expression"),
    ("4.3.0", TABLE + "SELECT v.k FROM STREAM v\nJOIN raw r ON CAST(r.value AS STRING) = v.k;", 5, 6, "as a stream (line 2) and as a table (here)"),
    ("4.3.0", "CREATE STREAMING TABLE q USING kafka OPTIONS (topic 'x', processing.guarantee 'exactly_once_v2') AS SELECT k AS value FROM STREAM v;", 3, 1,
     "at least once"),
])
def test_what_check_refuses(tmp_path, version, sql, line, column, says):
    answer = check(tmp_path, RAW + VIEW + sql, version)
    assert not answer["ok"], answer
    problem = answer["problems"][0]
    assert problem["class"] == "UNSUPPORTED_BY_SPARK" and says in problem["message"], problem
    assert (os.path.basename(problem["file"]), problem["line"], problem["column"]) == ("p.sql", line, column)
    assert problem["hint"]


@pytest.mark.parametrize("version, sql", [("4.0.0", TABLE + "SELECT k, try_parse_json(k) IS NULL AS j FROM STREAM v;"), ("4.3.0", WITH),
                                          ("3.5.9", TABLE + "SELECT k FROM STREAM v WHERE k > 'a';")])
def test_what_check_lets_through(tmp_path, version, sql):
    answer = check(tmp_path, RAW + VIEW + sql, version)
    assert answer["ok"], answer


def test_a_wrong_engine_is_said_before_anything_starts(tmp_path):
    for engine, says in [("local[x]", "a number of threads"), ("local[2]?jar=x", "unknown option 'jar'"), ("spark://", "a host must be name:port"),
                         ("local[2]?python=/nowhere/python", "there is no Python /nowhere/python"), ("local[2]?python=/usr/bin/python3", "has no pyspark")]:
        where = project(tmp_path, RAW + VIEW + TABLE + "SELECT k FROM STREAM v;", engine)
        up = subprocess.run([binary(), "up", where], env=environment(str(tmp_path / "data")), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            universal_newlines=True, timeout=60)
        assert up.returncode != 0 and says in up.stderr, (engine, up.stderr)


# ---- progress and errors ----
PROGRESS = {"name": "q", "batchId": 3, "numInputRows": 40, "processedRowsPerSecond": 20.5, "durationMs": {"addBatch": 90, "triggerExecution": 120}, "sink": {"numOutputRows": -1},
            "eventTime": {"watermark": "2018-02-07T10:00:00.250Z"}, "observedMetrics": {"tidemill_q": {"rows": 7, "null_key": 2}},
            "stateOperators": [{"operatorName": "stateStoreSave", "numRowsTotal": 9, "numRowsUpdated": 7, "numRowsDroppedByWatermark": 1}],
            "sources": [{"endOffset": {"t": {"0": 10, "1": 5}}, "latestOffset": {"t": {"0": 12, "1": 5}}}]}


def test_progress_of_spark_in_our_words():
    event = run.batch_event(PROGRESS)
    assert (event["rows_read"], event["rows_written"], event["rows_late"], event["lag"]) == (40, 5, 1, 2)
    assert event["took_ms"] == 120
    assert event["dead"] == {"null_key": 2} and event["ops"] == [{"label": "stateStoreSave", "state_rows": 9, "rows": 7, "late": 1}]
    assert run.watermark_ms("2018-02-07T10:00:00.250Z") == 1517997600250
    assert run.lag_of([{"endOffset": "3", "latestOffset": None}]) == -1


def test_errors_are_told_where_they_stand():
    step = {"kind": "query", "name": "q", "file": "p.sql", "line": 10, "column": 1, "text_line": 11, "text_column": 3, "text": ""}
    view = dict(step, kind="view", name="v", line=3, text_line=4, text_column=3, lines_before=1)
    parse = [("org.apache.spark.sql.catalyst.parser.ParseException", "\n[PARSE_SYNTAX_ERROR] Syntax error at or near 'FROM'. SQLSTATE: 42601 (line 2, pos 7)")]
    told = errors.place(errors.explain(parse, step), step, {})
    assert (told["class"], told["sqlstate"], told["line"], told["column"]) == ("PARSE_SYNTAX_ERROR", "42601", 12, 8)
    told = errors.place(errors.explain(parse, view), view, {})
    assert (told["line"], told["column"]) == (4, 10)  # the line that we put before the text is not counted
    failed = [("org.apache.spark.sql.streaming.StreamingQueryException", "[STREAM_FAILED] Query [id = 1] terminated with exception: x"),
              ("org.apache.spark.SparkException", "Job aborted"),
              ("org.apache.spark.SparkArithmeticException", "[DIVIDE_BY_ZERO] Division by zero. SQLSTATE: 22012\n== SQL of VIEW v(line 2, position 9) ==\na / b")]
    told = errors.place(errors.explain(failed, step), step, {"v": view})
    assert (told["class"], told["what"], told["line"], told["column"]) == ("DIVIDE_BY_ZERO", "Division by zero.", 5, 9)


class Java:
    """As py4j shows an object of Java: it has every attribute, called or not."""

    def __init__(self, name, message, cause=None):
        self.parts = {"getClass": lambda: Java(name, name), "getName": lambda: name, "getMessage": lambda: message, "getCause": lambda: cause}

    def __getattr__(self, name):
        return self.parts.get(name, lambda *a: False)


def test_causes_of_java_and_of_python():
    java = Java("x.StreamingQueryException", "outer", Java("java.io.IOException", None))
    assert errors.chain(java) == [("x.StreamingQueryException", "outer"), ("java.io.IOException", "")]
    raised = ValueError("a")
    raised.java_exception = java
    assert errors.chain(raised) == errors.chain(java)
    raised = ValueError("a")
    raised.__cause__ = OSError("b")
    assert errors.chain(raised) == [("builtins.ValueError", "a"), ("builtins.OSError", "b")]


@pytest.mark.parametrize("causes, stays", [
    ([("x.StreamingQueryException", "[STREAM_FAILED] …"), ("org.apache.kafka.common.errors.TimeoutException", "Timed out waiting for a node assignment.")], False),
    ([("java.io.IOException", "Failed to open native connection to Cassandra at {127.0.0.1:9042}"), ("x.AllNodesFailedException", "…")], False),
    ([("py4j.Py4JException", "Traceback (most recent call last):\n  File x\ncassandra.cluster.NoHostAvailable: ('Unable to connect', {})\n")], False),
    ([("x.StreamingQueryException", "[STREAM_FAILED] …"), ("org.apache.spark.SparkArithmeticException", "[DIVIDE_BY_ZERO] Division by zero.")], True),
    ([("org.apache.spark.sql.AnalysisException", "[TABLE_OR_VIEW_NOT_FOUND] The table or view `unavailable` cannot be found.")], True),
])
def test_which_errors_go_away_by_themselves(causes, stays):
    assert (errors.away(causes) is None) == stays


# ---- values ----
def test_values_for_cassandra():
    def write(cql, value):
        return cells.to_cassandra(cells.parse(cql))(value)

    some = uuid.uuid4()
    assert write("uuid", str(some)) == some and write("text", 62027) == "62027" and write("text", True) == "true"
    assert write("text", 1e10) == "1.0E10" and write("text", 0.5) == "0.5" and write("text", 1.25e-5) == "1.25E-5"
    assert write("timestamp", datetime.datetime(1969, 12, 31, 23, 59, 59, 999999)) == -1
    assert write("frozen<map<text, list<int>>>", {"a": ["1", 2.0, None]}) == {"a": [1, 2, None]} and write("int", None) is None
    assert write("decimal", 1.5) == decimal.Decimal("1.5") and write("date", "2018-02-07") == datetime.date(2018, 2, 7)
    assert cells.spark_type(cells.parse("map<text, frozen<tuple<int, uuid>>>")) == "MAP<STRING, STRUCT<`0`: INT, `1`: STRING>>"


def test_packages_where_nobody_names_jars(monkeypatch):
    fake = type(sys)("pyspark.find_spark_home")
    fake._find_spark_home = lambda: "/nowhere"
    monkeypatch.setitem(sys.modules, "pyspark", type(sys)("pyspark"))
    monkeypatch.setitem(sys.modules, "pyspark.find_spark_home", fake)
    d = {"pipelines": [{"steps": [{"format": "kafka"}, {"format": "cassandra"}]}]}
    assert plan.default_packages(d, "3.5.1") == "org.apache.spark:spark-sql-kafka-0-10_2.12:3.5.1,com.datastax.spark:spark-cassandra-connector_2.12:3.5.1"
    assert plan.default_packages(d, "4.1.0") == "org.apache.spark:spark-sql-kafka-0-10_2.13:4.1.0"


# ---- the lease of a leader's Spark ----
def test_a_lease_ends_by_itself():
    over = []
    one = lease.Lease(end=lambda: over.append(lease.now_ns()))
    one.renew(lease.now_ns() - 1)  # it waited in the pipe while Python started
    time.sleep(0.1)
    assert not one.begun and not over
    for _ in range(4):
        until = lease.now_ns() + 200 * 10**6
        one.renew(until)
        first = one.stamp_us()
        assert one.begun and one.stamp_us() > first >= time.time_ns() // 1000 - 10**6
        time.sleep(0.1)
    assert not over
    time.sleep(0.4)
    assert len(over) == 1 and until <= over[0] < until + 200 * 10**6
    for act in (one.demand, one.stamp_us):
        with pytest.raises(RuntimeError):
            act()
    assert len(over) == 3


def test_another_sparks_batch_is_gone_on_from():
    taken = [("x.StreamingQueryException", "[STREAM_FAILED] …"), ("org.apache.spark.SparkException",
             "[CONCURRENT_STREAM_LOG_UPDATE] Concurrent update to the log. Multiple streaming jobs detected for 4. SQLSTATE: 40000")]
    assert "goes on" in errors.overtaken(taken) and errors.away(taken) is None and errors.overtaken(taken[:1]) is None
