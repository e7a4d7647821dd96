"""A Tidemill project on Apache Spark: readStream, spark.sql and writeStream made of a description of its pipelines (`tidemill describe`)."""
