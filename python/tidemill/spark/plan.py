"""Statements of the description to DataFrames and writers, for one Spark session."""
import glob
import os

from . import rewrite, tables

CONNECTOR = "org.apache.spark.sql.cassandra"
KAFKA_JAR = "org.apache.spark:spark-sql-kafka-0-10_%s:%s"
CONNECTOR_JAR = "com.datastax.spark:spark-cassandra-connector_2.12:3.5.1"
SINK_OPTIONS = {"ttl": "spark.cassandra.output.ttl", "ignorenulls": "spark.cassandra.output.ignoreNulls"}


def configuration(description, version):
    """Spark's settings that are ours where nobody says otherwise; a Spark that is there already (spark-submit) keeps its own jars."""
    cores, until_idle = description.get("cores") or 0, description.get("until_idle")
    conf = {
        "spark.app.name": description.get("name") or "tidemill",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",  # as the embedded engine has it
        "spark.sql.ansi.enabled": "true",  # the default from 4.0 on
        "spark.sql.streaming.schemaInference": "true",
        "spark.sql.streaming.stopTimeout": "4s",
        "spark.sql.streaming.noDataProgressEventInterval": "300" if until_idle else "2000",
        "spark.executorEnv.TZ": "UTC",  # Python workers give and take times without a zone
    }
    if (description.get("master") or "").startswith("local"):
        conf["spark.driver.bindAddress"] = conf["spark.driver.host"] = "127.0.0.1"
    if description.get("scratch") and (description.get("master") or "").startswith("local"):
        conf["spark.local.dir"] = description["scratch"]
        if " " not in description["scratch"]:
            conf["spark.driver.extraJavaOptions"] = "-Djava.io.tmpdir=" + description["scratch"]
    if cores:
        conf["spark.sql.shuffle.partitions"] = str(cores)  # 200 stores of state on two cores would only cost
    if description.get("jars"):
        conf["spark.jars"] = ",".join(jars(description["jars"]))
    packages = description.get("packages") or (None if description.get("jars") else default_packages(description, version))
    if packages:
        conf["spark.jars.packages"] = packages
    conf.update(description.get("conf") or {})
    return conf


def jars(places):
    found = []
    for place in places.split(","):
        place = os.path.expanduser(place.strip())
        found += sorted(glob.glob(os.path.join(place, "*.jar"))) if os.path.isdir(place) else [place]
    return found


def formats(description):
    return {step.get("format", "").lower() for pipeline in description["pipelines"] for step in pipeline["steps"]}


def default_packages(description, version):
    """What Spark itself does not bring, of its own version, from Maven."""
    from pyspark.find_spark_home import _find_spark_home

    here, used, wanted = os.path.join(_find_spark_home(), "jars"), formats(description), []
    short = rewrite.version_of(version)
    if "kafka" in used and not glob.glob(os.path.join(here, "spark-sql-kafka-0-10_*.jar")):
        wanted.append(KAFKA_JAR % ("2.12" if short < (4, 0) else "2.13", version))
    if "cassandra" in used and short < (4, 0) and not glob.glob(os.path.join(here, "spark-cassandra-connector_*.jar")):
        wanted.append(CONNECTOR_JAR)
    return ",".join(wanted)


class Plan:
    """Runs the statements in order; queries come out as Query, not started."""

    def __init__(self, spark, description, version, lease=None):
        self.spark, self.description, self.lease = spark, description, lease
        self.version = rewrite.version_of(version)
        self.connector = self.version < (4, 0)
        self.queries, self.views, self.watermarks = [], {}, 0
        c = description["cassandra"]
        self.where = (c.get("hosts", ""), c.get("user"), c.get("password"), c.get("local_dc"))
        if self.connector and c.get("hosts"):
            self.connect()
        elif not self.connector and "cassandra" in formats(description):
            spark.dataSource.register(tables.source())

    def connect(self):
        """The connector's settings, at run time: on a command line everybody could read the password."""
        hosts, user, password, local_dc = self.where
        parts = [h.rsplit(":", 1) for h in hosts.split(",")]
        settings = {"spark.cassandra.connection.host": ",".join(h[0] for h in parts), "spark.cassandra.connection.port": parts[0][1],
                    "spark.cassandra.connection.localDC": local_dc, "spark.cassandra.auth.username": user, "spark.cassandra.auth.password": password}
        for name, value in settings.items():
            if value:
                self.spark.conf.set(name, value)

    def build(self):
        for pipeline in self.description["pipelines"]:
            streams = {m["name"].lower() for s in pipeline["steps"] for m in s.get("marks", ()) if m["kind"] == "stream"}
            for step in pipeline["steps"]:
                step["file"] = pipeline["file"]
                self.step = step
                getattr(self, step["kind"])(step, streams)
        return self.queries

    def set(self, step, streams):
        self.spark.conf.set(step["name"], step["value"])

    # ---- sources ----
    def source(self, step, streams):
        stream, kind = step["name"].lower() in streams, step["format"].lower()
        reader = self.spark.readStream if stream else self.spark.read
        if kind == "cassandra":
            frame = self.cassandra_source(step)
        else:
            reader = reader.format(kind).options(**step["options"])
            if kind == "kafka":
                reader = reader.options(**self.kafka_options(step["options"]))
            elif step.get("schema"):
                reader = reader.schema(step["schema"])
            path = next((v for k, v in step["options"].items() if k.lower() == "path"), None)
            frame = reader.load(os.path.join(self.description.get("project") or ".", path)) if path and "://" not in path else reader.load()
        frame.createOrReplaceTempView(step["name"])
        self.views[step["name"].lower()] = step

    def kafka_options(self, given):
        ours = {"kafka.bootstrap.servers": self.description["kafka"].get("servers", "")}
        ours.update(self.description["kafka"].get("options") or {})
        return {k: v for k, v in ours.items() if k.lower() not in {g.lower() for g in given}}

    def table_of(self, options):
        lower = {k.lower(): v for k, v in options.items()}
        keyspace, table = lower["keyspace"], lower["table"]
        columns = self.description["tables"].get("%s.%s" % (keyspace, table))
        if columns is None and not self.connector:
            columns = tables.columns_of(self.where, keyspace, table)
        return keyspace, table, columns

    def cassandra_source(self, step):
        if self.connector:
            return self.spark.read.format(CONNECTOR).options(**step["options"]).load()
        keyspace, table, columns = self.table_of(step["options"])
        options = {"keyspace": keyspace, "table": table, "columns": "\x1f".join(c[0] for c in columns), "types": "\x1f".join(c[1] for c in columns)}
        hosts, user, password, local_dc = self.where
        options.update({k: v for k, v in {"hosts": hosts, "user": user, "password": password, "local_dc": local_dc}.items() if v})
        return self.spark.read.format("tidemill_cassandra").options(**options).load()

    # ---- text ----
    def text(self, step):
        text, watermarks = rewrite.rewrite(step["text"], step["marks"], self.version, "tidemill_watermark_%d" % (self.watermarks + 1))
        for w in watermarks:
            self.watermarks += 1
            self.spark.sql(w.sql).withWatermark(w.column, w.delay).createOrReplaceTempView(w.view)
        return text

    def view(self, step, streams):
        columns = " (%s)" % ", ".join(rewrite.quote(c) for c in step["columns"]) if step["columns"] else ""
        text = self.text(step)
        self.views[step["name"].lower()] = step
        # What stands before the text takes a line of its own, which positions of errors have to be rid of.
        step["lines_before"] = 1
        self.spark.sql("CREATE OR REPLACE TEMPORARY VIEW %s%s AS\n%s" % (rewrite.quote(step["name"]), columns, text))

    def query(self, step, streams):
        frame = self.spark.sql(self.text(step))
        for call in ("dropDuplicates", "dropDuplicatesWithinWatermark"):
            if call in step:
                frame = getattr(frame, call)(step[call]) if step[call] else getattr(frame, call)()
        self.queries.append(Query(self, step, frame))


class Query:
    """One streaming table or flow: a DataFrame and where its rows go. start() may be called again after it ended."""

    def __init__(self, plan, step, frame):
        self.plan, self.step, self.name, self.format = plan, step, step["name"], step["format"].lower()
        self.handle = None
        self.frame = self.cassandra_frame(frame) if self.format == "cassandra" else self.counted(frame)

    def counted(self, frame, refused=None):
        """Counts what reaches the sink, for the rows written: most sinks of Spark do not tell."""
        from pyspark.sql import functions as f

        metrics = [f.count(f.lit(1)).alias("rows")]
        if refused is not None:
            metrics.append(f.count(f.when(refused, True)).alias("null_key"))
        return frame.observe("tidemill_" + self.name, *metrics)

    def cassandra_frame(self, frame):
        """Columns under the table's names, and no row without its key: a table cannot store it, and the connector would stop at it."""
        from pyspark.sql import functions as f

        self.keyspace, self.table, columns = self.plan.table_of(self.step["options"])
        self.columns = None
        if not columns:
            return self.counted(frame)
        known = {c[0].lower(): c for c in columns}
        missing = [c for c in frame.columns if c.lower() not in known]
        if missing:
            raise ValueError("table %s.%s has no column %s" % (self.keyspace, self.table, ", ".join(missing)))
        frame = frame.select(*[f.col(rewrite.quote(c)).alias(known[c.lower()][0]) for c in frame.columns])
        self.columns = [known[c.lower()][:2] for c in frame.columns]
        keys = [c[0] for c in columns if c[2] in ("partition_key", "clustering") and c[0] in frame.columns]
        refused = None
        for key in keys:
            null = f.col(rewrite.quote(key)).isNull()
            refused = null if refused is None else refused | null
        frame = self.counted(frame, refused)
        return frame if refused is None else frame.where(~refused)

    def start(self):
        step, plan = self.step, self.plan
        if plan.lease:
            plan.lease.demand()
        writer = self.frame.writeStream.queryName(self.name).outputMode(step["mode"])
        writer = writer.option("checkpointLocation", "%s/%s" % (plan.description["checkpoint"], self.name))
        if step["trigger"] == "processing_time":
            writer = writer.trigger(processingTime="%d milliseconds" % step["interval_ms"])
        elif step["trigger"] == "available_now":
            writer = writer.trigger(availableNow=True)
        options = {SINK_OPTIONS.get(k.lower(), k): v for k, v in step["options"].items()}
        if self.format == "cassandra":
            writer = self.cassandra_writer(writer, options)
        elif self.format == "memory":  # rows of a table that nobody named: there is no one to read them
            writer = writer.format("noop")
        else:
            writer = writer.format(self.format).options(**options)
            if self.format == "kafka":
                writer = writer.options(**plan.kafka_options(options))
        self.handle = writer.start()
        return self.handle

    def cassandra_writer(self, writer, options):
        lease = self.plan.lease
        if not self.plan.connector:
            lower = {k.lower(): v for k, v in options.items()}
            ignore = lower.get("spark.cassandra.output.ignorenulls", "false").lower() == "true"
            return writer.foreachBatch(driver_writer(self.plan.where, self.keyspace, self.table, self.columns, ignore,
                                                     int(lower.get("spark.cassandra.output.ttl", "0")), lease))
        if self.step["mode"] == "append" and not lease:
            return writer.format(CONNECTOR).options(**options)

        # The connector's streaming sink takes append alone, and asks no lease; its batch writer takes each batch's rows.
        def write(batch, _):
            stamp = {"spark.cassandra.output.timestamp": str(lease.stamp_us())} if lease else {}
            batch.write.format(CONNECTOR).mode("append").options(**options).options(**stamp).save()

        return writer.foreachBatch(write)


def driver_writer(where, keyspace, table, columns, ignore_nulls, ttl, lease):
    def write_batch(batch, _):
        stamp_us = lease.stamp_us() if lease else None
        batch.foreachPartition(lambda rows: tables.write_partition(rows, where, keyspace, table, columns, ignore_nulls, ttl, stamp_us))

    return write_batch
