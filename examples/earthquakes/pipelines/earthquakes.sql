-- What the DAG sends: one GeoJSON feature a record.
CREATE TEMPORARY VIEW quakes_raw USING kafka OPTIONS (subscribe 'earthquakes', startingOffsets 'earliest');

-- A table of ours, read anew by every batch.
CREATE TEMPORARY VIEW regions USING cassandra OPTIONS (keyspace 'seismic', table 'regions');

CREATE TEMPORARY VIEW quakes_flat AS
  SELECT q.id, q.properties.mag AS mag, q.properties.place AS place, timestamp_millis(q.properties.time) AS time,
         q.properties.status AS status, q.properties.type AS type, q.properties.alert AS alert,
         q.geometry.coordinates[0] AS longitude, q.geometry.coordinates[1] AS latitude, q.geometry.coordinates[2] AS depth_km
  FROM (SELECT from_json(CAST(value AS STRING),
          'id STRING,
           properties STRUCT<mag: DOUBLE, place: STRING, time: BIGINT, status: STRING, type: STRING, alert: STRING>,
           geometry STRUCT<coordinates: ARRAY<DOUBLE>>') AS q
        FROM STREAM quakes_raw);

-- An event that comes again within a day of event time is dropped; only earthquakes stay; the region comes from the table.
CREATE STREAMING TABLE quakes_clean USING kafka OPTIONS (topic 'earthquakes_clean', dropDuplicatesWithinWatermark 'key') AS
  SELECT q.id AS key, q.time,
         to_json(struct(q.id, q.mag, q.place, q.time, q.status, q.alert, q.longitude, q.latitude, q.depth_km,
                        coalesce(r.region, q.suffix) AS region, coalesce(r.country, 'elsewhere') AS country)) AS value
  FROM (SELECT *, element_at(split(place, ', '), -1) AS suffix
        FROM STREAM quakes_flat WATERMARK time DELAY OF INTERVAL 1 DAY
        WHERE type = 'earthquake' AND mag IS NOT NULL) q
  LEFT JOIN regions r ON q.suffix = r.suffix;

-- What a transaction left that was aborted (a leader lost on a real Kafka) is not read.
CREATE TEMPORARY VIEW clean_raw USING kafka OPTIONS (subscribe 'earthquakes_clean', startingOffsets 'earliest', kafka.isolation.level 'read_committed');

CREATE TEMPORARY VIEW clean AS
  SELECT q.* FROM (SELECT from_json(CAST(value AS STRING),
    'id STRING, mag DOUBLE, place STRING, time TIMESTAMP, status STRING, alert STRING, longitude DOUBLE, latitude DOUBLE, depth_km DOUBLE,
     region STRING, country STRING') AS q FROM STREAM clean_raw);

CREATE STREAMING TABLE quakes USING cassandra OPTIONS (keyspace 'seismic', table 'quakes') AS
  SELECT region, time, id, mag, place, country, latitude, longitude, depth_km, status FROM STREAM clean;

CREATE STREAMING TABLE quakes_per_hour USING cassandra OPTIONS (keyspace 'seismic', table 'quakes_per_hour', outputMode 'update') AS
  SELECT region, window(time, '1 hour').start AS hour, count(*) AS n, max(mag) AS strongest, avg(mag) AS mean
  FROM STREAM clean WATERMARK time DELAY OF INTERVAL 1 DAY
  GROUP BY region, window(time, '1 hour');

-- The strong ones go to a topic of their own, where anyone may listen.
CREATE STREAMING TABLE strong USING kafka OPTIONS (topic 'strong_quakes') AS
  SELECT id AS key, to_json(struct(id, time, mag, place, region,
           CASE WHEN mag >= 6 THEN 'red' WHEN mag >= 5 THEN 'orange' ELSE 'yellow' END AS alert)) AS value
  FROM STREAM clean WHERE mag >= 4.5;

CREATE TEMPORARY VIEW strong_raw USING kafka OPTIONS (subscribe 'strong_quakes', startingOffsets 'earliest', kafka.isolation.level 'read_committed');

CREATE STREAMING TABLE strong_quakes USING cassandra OPTIONS (keyspace 'seismic', table 'strong_quakes') AS
  SELECT q.* FROM (SELECT from_json(CAST(value AS STRING), 'id STRING, time TIMESTAMP, mag DOUBLE, place STRING, region STRING, alert STRING') AS q
                   FROM STREAM strong_raw);
