"""Is a Spark installation whole? spark_probe.py JARS: a query in local mode, and the classes of the connectors."""
import glob
import sys

from pyspark.sql import SparkSession

jars = sorted(glob.glob(sys.argv[1] + "/*.jar"))
spark = (SparkSession.builder.appName("probe").master("local[1]").config("spark.jars", ",".join(jars)).config("spark.ui.enabled", "false")
         .config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1").getOrCreate())
assert spark.sql("SELECT sum(id) FROM range(10)").first()[0] == 45
loader = spark._jvm.java.lang.Thread.currentThread().getContextClassLoader()
names = ["org.apache.spark.sql.kafka010.KafkaSourceProvider"]
if any("spark-cassandra-connector_" in j for j in jars):
    names.append("com.datastax.spark.connector.datasource.CassandraCatalog")
for name in names:
    loader.loadClass(name)
print("Spark %s, %d jars" % (spark.version, len(jars)))
spark.stop()
