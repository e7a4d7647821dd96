"""The job of bench/stack.py for a real Spark 3.5, as people write it: JSON from a topic by from_json; every event into a table by the connector's
streaming sink; counts per category and ten seconds, in update mode, by foreachBatch and the connector's batch writer.

Environment: BROKER, TOPIC, CASSANDRA, KEYSPACE, CHECKPOINT. Standard input: start | drain (until all that is in the topic is in the tables) | stop; each is
answered by a line of JSON. The same job in a JVM that is warm is `stop` and `start` again."""
import json
import os
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql.functions import col, count, from_json, sum, window

host, port = os.environ["CASSANDRA"].split(":")
spark = (SparkSession.builder.appName("bench").config("spark.cassandra.connection.host", host).config("spark.cassandra.connection.port", port).getOrCreate())
spark.sparkContext.setLogLevel("ERROR")

events = (spark.readStream.format("kafka").option("kafka.bootstrap.servers", os.environ["BROKER"]).option("subscribe", os.environ["TOPIC"])
          .option("startingOffsets", "earliest").load()
          .select(from_json(col("value").cast("string"), "id STRING, user STRING, category STRING, amount DOUBLE, event_time TIMESTAMP").alias("e")).select("e.*"))
per_window = (events.withWatermark("event_time", "1 minute").groupBy("category", window("event_time", "10 seconds"))
              .agg(count("*").alias("n"), sum("amount").alias("total")).select("category", col("window.start").alias("start"), "n", "total"))


def into(table):
    def write(batch, _):
        batch.write.format("org.apache.spark.sql.cassandra").options(keyspace=os.environ["KEYSPACE"], table=table).mode("append").save()
    return write


def start():
    place = os.environ["CHECKPOINT"]
    return [events.writeStream.format("org.apache.spark.sql.cassandra").options(keyspace=os.environ["KEYSPACE"], table="events")
            .option("checkpointLocation", place + "/events").start(),
            per_window.writeStream.outputMode("update").foreachBatch(into("per_window")).option("checkpointLocation", place + "/per_window").start()]


queries = start()
for line in sys.stdin:
    began = time.time()
    if line.strip() == "start":
        queries = start()
    elif line.strip() == "drain":
        for q in queries:
            q.processAllAvailable()
    elif line.strip() == "stop":
        for q in queries:
            q.stop()
    print("ANSWER " + json.dumps({"seconds": time.time() - began}), flush=True)
spark.stop()
