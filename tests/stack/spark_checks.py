"""What a Spark job does with a Kafka and a Cassandra beyond the pipelines: spark_checks.py JARS KAFKA CASSANDRA PREFIX

Prints one JSON object, check by name: what came out, or the error. test_doors.py runs it on the real systems and on Tidemill's doors and compares.
The Cassandra half needs the connector (Spark 3.5).
"""
import glob
import json
import os
import re
import sys
import tempfile
import time

from pyspark.sql import SparkSession

JARS, KAFKA, CASSANDRA, PREFIX = sys.argv[1:5]
host, port = CASSANDRA.split(":")
spark = (SparkSession.builder.appName("checks").master("local[2]").config("spark.jars", ",".join(sorted(glob.glob(JARS + "/*.jar")))).config("spark.ui.enabled", "false")
         .config("spark.sql.shuffle.partitions", "2").config("spark.sql.session.timeZone", "UTC").config("spark.driver.extraJavaOptions", "-Duser.timezone=UTC")
         .config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1").config("spark.sql.ansi.enabled", "false")
         .config("spark.cassandra.connection.host", host).config("spark.cassandra.connection.port", port)
         .config("spark.sql.extensions", "com.datastax.spark.connector.CassandraSparkExtensions" if "35" in JARS else "")
         .config("spark.sql.catalog.cas", "com.datastax.spark.connector.datasource.CassandraCatalog").getOrCreate())
spark.sparkContext.setLogLevel("ERROR")
KS = PREFIX + "checks"
checks = []


def check(f):
    checks.append(f)
    return f


def rows(df):
    return sorted([[str(v) if v is not None else None for v in r] for r in df.collect()], key=str)


def topic(name):
    return PREFIX + name


def make(name, partitions):
    from confluent_kafka.admin import AdminClient, NewTopic
    for f in AdminClient({"bootstrap.servers": KAFKA}).create_topics([NewTopic(topic(name), partitions, 1)]).values():
        f.result(30)


def kafka(fmt, **options):
    r = fmt.format("kafka").option("kafka.bootstrap.servers", KAFKA)
    for k, v in options.items():
        r = r.option(k.replace("__", "."), v)
    return r


def write(df, name, **options):
    kafka(df.write, topic=topic(name), **options).save()


def read(**options):
    return kafka(spark.read, **options).load()


# ---- Kafka ----
@check
def kafka_batch_write_and_read():
    df = spark.range(100).selectExpr("CAST(id AS STRING) AS key", "concat('v', id) AS value", "array(named_struct('key', 'h', 'value', CAST('x' AS BINARY))) AS headers")
    write(df, "batch", includeHeaders="true")
    got = read(subscribe=topic("batch"), includeHeaders="true")
    return [got.schema.simpleString(), rows(got.selectExpr("CAST(key AS STRING)", "CAST(value AS STRING)", "offset >= 0", "timestampType", "CAST(headers[0].value AS STRING)"))]


@check
def kafka_null_key_and_value():
    write(spark.sql("SELECT CAST(NULL AS STRING) AS key, 'a' AS value UNION ALL SELECT 'k', CAST(NULL AS STRING)"), "nulls")
    return rows(read(subscribe=topic("nulls")).selectExpr("CAST(key AS STRING)", "CAST(value AS STRING)"))


@check
def kafka_topic_and_partition_columns():
    make("four", 4)
    df = spark.sql("SELECT '%s' AS topic, id %% 4 AS p, CAST(id AS STRING) AS value FROM range(20)" % topic("four"))
    kafka(df.selectExpr("topic", "CAST(p AS INT) AS partition", "value").write).save()
    return rows(read(subscribe=topic("four")).groupBy("partition").count())


@check
def kafka_offsets_by_json():
    t = topic("four")
    return rows(read(subscribe=t, startingOffsets=json.dumps({t: {"0": 1, "1": 0, "2": -2, "3": 5}}), endingOffsets=json.dumps({t: {"0": 3, "1": -1, "2": 2, "3": 5}}))
                .selectExpr("partition", "offset", "CAST(value AS STRING)"))


@check
def kafka_offsets_by_timestamp():
    t = topic("times")
    now = int(time.time() * 1000)
    write(spark.sql("SELECT 'old' AS value"), "times")
    time.sleep(1.5)
    between = int(time.time() * 1000)
    time.sleep(0.5)
    write(spark.sql("SELECT 'new' AS value"), "times")
    after = read(subscribe=t, startingTimestamp=str(between), startingOffsetsByTimestampStrategy="latest")
    whole = read(subscribe=t, startingTimestamp=str(now - 100000))
    return [rows(after.selectExpr("CAST(value AS STRING)")), rows(whole.selectExpr("CAST(value AS STRING)"))]


@check
def kafka_pattern_and_assign():
    t = topic("four")
    return [rows(read(subscribePattern=PREFIX + "(four|nulls)").groupBy("topic").count().selectExpr("replace(topic, '%s')" % PREFIX, "count")),
            rows(read(assign=json.dumps({t: [1, 3]})).groupBy("partition").count())]


@check
def kafka_missing_topic():
    return rows(read(subscribe=topic("nowhere")))


@check
def kafka_min_partitions():
    return read(subscribe=topic("batch"), minPartitions="5").rdd.getNumPartitions() >= 5


@check
def kafka_stream_with_limits():
    out = []
    for i in range(3):  # a restart of the same query goes on where it was
        q = (kafka(spark.readStream, subscribe=topic("four"), startingOffsets="earliest", maxOffsetsPerTrigger="7", kafka__group__id=PREFIX + "group").load()
             .selectExpr("CAST(value AS STRING) AS value").writeStream.option("checkpointLocation", CHECKPOINT + "/limits").format("kafka")
             .option("kafka.bootstrap.servers", KAFKA).option("topic", topic("limits")).trigger(availableNow=True).start())
        q.awaitTermination()
        out.append([p["numInputRows"] for p in q.recentProgress])
        write(spark.sql("SELECT 'more%d' AS value" % i), "four")
    return [out[0], [sum(x) for x in out[1:]], rows(read(subscribe=topic("limits")).selectExpr("CAST(value AS STRING)"))]


@check
def kafka_stream_latest():
    q = (kafka(spark.readStream, subscribe=topic("batch"), startingOffsets="latest").load().writeStream.option("checkpointLocation", CHECKPOINT + "/latest")
         .format("memory").queryName("latest").start())
    q.processAllAvailable()
    write(spark.sql("SELECT 'now' AS value"), "batch")
    until = time.time() + 20
    while spark.table("latest").count() < 1 and time.time() < until:
        time.sleep(0.2)
    q.stop()
    return rows(spark.table("latest").selectExpr("CAST(value AS STRING)"))


@check
def kafka_compressions():
    out = []
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        write(spark.sql("SELECT repeat('%s', 50) AS value FROM range(30)" % codec), codec, kafka__compression__type=codec)
        out.append(rows(read(subscribe=topic(codec)).selectExpr("CAST(value AS STRING) AS v").distinct()))
    return out


@check
def kafka_big_values():
    write(spark.sql("SELECT repeat('x', 900000) AS value FROM range(3)"), "big")
    return rows(read(subscribe=topic("big")).selectExpr("length(value)"))


@check
def kafka_too_big():
    write(spark.sql("SELECT repeat('x', 1100000) AS value"), "big", kafka__max__request__size="3000000", kafka__retries="0")


# ---- Cassandra ----
def cql(text):
    spark._jvm.com.datastax.spark.connector.cql.CassandraConnector.apply(spark.sparkContext._jsc.sc()).openSession().execute(text)


def frame(table, **options):
    r = spark.read.format("org.apache.spark.sql.cassandra").option("keyspace", KS).option("table", table)
    for k, v in options.items():
        r = r.option(k.replace("__", "."), v)
    return r.load()


def save(df, table, mode="append", **options):
    w = df.write.format("org.apache.spark.sql.cassandra").option("keyspace", KS).option("table", table).mode(mode)
    for k, v in options.items():
        w = w.option(k.replace("__", "."), v)
    w.save()


@check
def cassandra_catalog():
    spark.sql("CREATE DATABASE IF NOT EXISTS cas.%s WITH DBPROPERTIES (class='SimpleStrategy', replication_factor='1')" % KS)
    spark.sql("CREATE TABLE cas.%s.made (k INT, c STRING, v DOUBLE, l ARRAY<INT>, m MAP<STRING, BIGINT>, ts TIMESTAMP) USING cassandra PARTITIONED BY (k) "
              "TBLPROPERTIES (clustering_key='c.desc', compaction='{class=SizeTieredCompactionStrategy,bucket_high=1001}')" % KS)
    spark.sql("ALTER TABLE cas.%s.made ADD COLUMNS (more STRING)" % KS)
    save(spark.sql("SELECT 1 AS k, 'a' AS c, 1.5D AS v, array(1, 2) AS l, map('x', 1L) AS m, TIMESTAMP '2026-01-01 00:00:00' AS ts, 'm' AS more UNION ALL "
                   "SELECT 1, 'b', NULL, array(), map(), NULL, NULL"), "made")
    return [rows(spark.sql("SHOW TABLES FROM cas.%s" % KS).select("tableName")), rows(spark.sql("DESCRIBE TABLE cas.%s.made" % KS)), rows(spark.table("cas.%s.made" % KS))]


@check
def cassandra_every_type():
    cql("CREATE TYPE IF NOT EXISTS %s.place (street text, number int)" % KS)
    cql("CREATE TABLE %s.types (k int PRIMARY KEY, a ascii, b bigint, c blob, d boolean, e date, f decimal, g double, h float, i inet, j int, l smallint, m text, n time, "
        "o timestamp, p timeuuid, q tinyint, r uuid, s varint, t list<int>, u set<text>, v map<text, bigint>, w frozen<list<text>>, x tuple<int, text>, y frozen<place>, z place)" % KS)
    cql("INSERT INTO %s.types (k, a, b, c, d, e, f, g, h, i, j, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z) VALUES (1, 'a', 9223372036854775807, 0xCAFE, true, '2026-11-28', 1.50, "
        "2.5, 0.1, '10.0.0.1', -5, 300, 'é', '08:12:54.123456789', '2026-11-28T01:02:03.004Z', 50554d6e-29bb-11e5-b345-feff819cdc9f, -3, "
        "123e4567-e89b-12d3-a456-426614174000, 123456789012345678901234567890, [1, 2, 1], {'b', 'a'}, {'x': 1}, ['q'], (7, 'seven'), {street: 's', number: 1}, {street: 't'})" % KS)
    cql("INSERT INTO %s.types (k) VALUES (2)" % KS)
    df = frame("types")
    save(df.where("k = 1").withColumn("k", df.k + 10), "types")
    return [df.schema.simpleString(), rows(frame("types"))]


@check
def cassandra_keys_and_ranges():
    cql("CREATE TABLE %s.wide (p text, q int, c int, d text, s text static, v int, PRIMARY KEY ((p, q), c, d)) WITH CLUSTERING ORDER BY (c DESC, d ASC)" % KS)
    save(spark.sql("SELECT concat('p', id % 3) AS p, CAST(id % 2 AS INT) AS q, CAST(id % 10 AS INT) AS c, CAST(id AS STRING) AS d, CAST(id AS INT) AS v FROM range(120)"), "wide")
    cql("INSERT INTO %s.wide (p, q, s) VALUES ('p0', 0, 'fixed')" % KS)
    df = frame("wide")
    wheres = ["p = 'p1' AND q = 1", "p = 'p1' AND q = 1 AND c > 3 AND c <= 7", "p = 'p1' AND q IN (0, 1) AND c = 5", "p IN ('p0', 'p2') AND q = 0 AND c IN (2, 4)", "v = 17",
              "p = 'p0' AND q = 0 AND c = 6 AND d >= '3'", "s = 'fixed'", "p = 'none' AND q = 0", "v IS NULL"]
    plan = df.where(wheres[1])._jdf.queryExecution().toString()
    return ["Cassandra Filters: [" in plan, df.count(), [rows(df.where(w)) for w in wheres], rows(df.groupBy("p", "q").agg({"v": "sum"}))]


@check
def cassandra_many_rows():
    cql("CREATE TABLE %s.many (k bigint, c int, v text, PRIMARY KEY (k, c))" % KS)
    save(spark.sql("SELECT id % 5000 AS k, CAST(id AS INT) AS c, repeat('v', 20) AS v FROM range(20000)"), "many", spark__cassandra__output__concurrent__writes="16")
    df = frame("many", spark__cassandra__input__fetch__sizeInRows="333", spark__cassandra__input__split__sizeInMB="1")
    return [df.count(), rows(df.selectExpr("count(*)", "sum(c)", "min(k)", "max(k)", "count(DISTINCT v)")), df.rdd.getNumPartitions() > 0]


@check
def cassandra_ttl_and_writetime():
    cql("CREATE TABLE %s.aged (k int PRIMARY KEY, v text)" % KS)
    save(spark.sql("SELECT 1 AS k, 'x' AS v"), "aged", spark__cassandra__output__ttl="5000", spark__cassandra__output__timestamp="1700000000000000")
    save(spark.sql("SELECT 2 AS k, 'y' AS v, 1700000000000001L AS w, 7000 AS t"), "aged", writetime="w", ttl="t")
    df = frame("aged")
    return [rows(df.selectExpr("k", "v", "writetime(v)")), rows(df.selectExpr("k", "ttl(v)").selectExpr("k", "`ttl(v)` > 4000"))]


@check
def cassandra_older_write_loses():
    save(spark.sql("SELECT 1 AS k, 'older' AS v"), "aged", spark__cassandra__output__timestamp="1600000000000000")
    return rows(frame("aged"))


@check
def cassandra_if_not_exists():
    save(spark.sql("SELECT 1 AS k, 'second' AS v UNION ALL SELECT 3, 'third'"), "aged", spark__cassandra__output__ifNotExists="true")
    return rows(frame("aged"))


@check
def cassandra_ignored_nulls():
    save(spark.sql("SELECT 3 AS k, CAST(NULL AS STRING) AS v"), "aged", spark__cassandra__output__ignoreNulls="true")
    kept = rows(frame("aged"))
    save(spark.sql("SELECT 3 AS k, CAST(NULL AS STRING) AS v"), "aged")
    return [kept, rows(frame("aged"))]


@check
def cassandra_counters():
    cql("CREATE TABLE %s.counted (k int PRIMARY KEY, n counter)" % KS)
    for _ in range(2):
        save(spark.sql("SELECT CAST(id AS INT) AS k, id * 10 AS n FROM range(3)"), "counted")
    return rows(frame("counted"))


@check
def cassandra_overwrite():
    save(spark.sql("SELECT 9 AS k, 'only' AS v"), "aged", mode="overwrite", confirm__truncate="true")
    return rows(frame("aged"))


@check
def cassandra_refuses_existing():
    save(spark.sql("SELECT 9 AS k, 'only' AS v"), "aged", mode="error")


@check
def cassandra_join_with_table():
    left = spark.sql("SELECT CAST(id AS BIGINT) AS id FROM range(4990, 5010)")
    right = frame("many", directJoinSetting="on")
    joined = left.join(right, left.id == right.k)
    return ["Cassandra Direct Join" in joined._jdf.queryExecution().toString(), joined.count(), rows(joined.selectExpr("id", "c").where("id < 4992"))]


@check
def cassandra_index():
    cql("CREATE TABLE %s.found (k int PRIMARY KEY, v text, n int)" % KS)
    cql("CREATE INDEX found_v ON %s.found (v)" % KS)
    save(spark.sql("SELECT CAST(id AS INT) AS k, concat('v', id % 4) AS v, CAST(id AS INT) AS n FROM range(40)"), "found")
    return [rows(frame("found").where("v = 'v1'")), rows(frame("found").where("v = 'v1' AND n > 20"))]


@check
def cassandra_wrong_table():
    frame("nowhere").count()


@check
def cassandra_wrong_column():
    save(spark.sql("SELECT 1 AS k, 1 AS nope"), "aged")


@check
def cassandra_wrong_type():
    save(spark.sql("SELECT 'no number' AS k, 'v' AS v"), "aged")


@check
def cassandra_null_key():
    save(spark.sql("SELECT CAST(NULL AS INT) AS k, 'v' AS v"), "aged")


with tempfile.TemporaryDirectory() as CHECKPOINT:
    out = {}
    for f in checks:
        if f.__name__.startswith("cassandra") and "35" not in JARS:
            continue
        try:
            out[f.__name__] = f()
        except Exception as e:  # what a job would see
            text = str(e).replace(PREFIX, "")
            names = sorted(set(re.findall(r"\b[A-Z]\w+(?:Exception|Error)\b", text)))
            out[f.__name__] = {"error": type(e).__name__, "names": names, "text": text[:300] if os.environ.get("TEXT") else ""}
    print("CHECKS " + json.dumps(out))
    spark.stop()
