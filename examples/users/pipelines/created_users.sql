CREATE TEMPORARY VIEW users_created USING kafka OPTIONS (subscribe 'users_created', startingOffsets 'earliest');

CREATE STREAMING TABLE created_users USING cassandra OPTIONS (keyspace 'spark_streams', table 'created_users') AS
  SELECT data.*
  FROM (SELECT from_json(CAST(value AS STRING),
          'id STRING, first_name STRING, last_name STRING, gender STRING, address STRING, post_code STRING, email STRING, username STRING,
           registered_date STRING, phone STRING, picture STRING') AS data
        FROM STREAM users_created);
