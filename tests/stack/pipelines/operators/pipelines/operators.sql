CREATE TEMPORARY VIEW orders_raw USING kafka OPTIONS (subscribe 'orders', startingOffsets 'earliest');
CREATE TEMPORARY VIEW mail_raw USING kafka OPTIONS (subscribe 'mail_orders', startingOffsets 'earliest');
CREATE TEMPORARY VIEW payments_raw USING kafka OPTIONS (subscribe 'payments', startingOffsets 'earliest');
CREATE TEMPORARY VIEW items USING cassandra OPTIONS (keyspace 'operators', table 'items');

CREATE TEMPORARY VIEW orders AS
  SELECT o.* FROM (SELECT from_json(CAST(value AS STRING),
    'id BIGINT, customer STRING, shop STRING, item STRING, quantity INT, price DECIMAL(10,2), ratio FLOAT, gift BOOLEAN, due DATE, at TIMESTAMP, note STRING,
     tags ARRAY<STRING>, options MAP<STRING, INT>, delivery STRUCT<street: STRING, number: INT>') AS o FROM STREAM orders_raw) WHERE o.id IS NOT NULL;

CREATE TEMPORARY VIEW mail AS
  SELECT o.* FROM (SELECT from_json(CAST(value AS STRING), 'id BIGINT, item STRING, price DECIMAL(10,2)') AS o FROM STREAM mail_raw);

CREATE TEMPORARY VIEW payments AS
  SELECT p.* FROM (SELECT from_json(CAST(value AS STRING), 'payment BIGINT, id BIGINT, amount DECIMAL(10,2), paid TIMESTAMP') AS p FROM STREAM payments_raw);

-- Casts, filter, projection.
CREATE STREAMING TABLE orders_flat USING cassandra OPTIONS (keyspace 'operators', table 'orders') AS
  SELECT id, customer, upper(item) AS item, quantity, CAST(quantity * 3 AS SMALLINT) AS small, CAST(id % 100 AS TINYINT) AS tiny, price,
         CAST(price AS DOUBLE) * quantity AS cost, ratio, gift, due, at, concat_ws('; ', note, delivery.street, CAST(delivery.number AS STRING)) AS note,
         CAST(note AS BINARY) AS raw, tags, tags AS labels, map_filter(options, (k, v) -> v IS NOT NULL) AS options
  FROM STREAM orders WHERE quantity > 0 AND item <> 'drum';

CREATE STREAMING TABLE everywhere USING cassandra OPTIONS (keyspace 'operators', table 'everywhere') AS
  SELECT shop, id, item, price FROM STREAM orders UNION ALL SELECT 'mail' AS shop, id, item, price FROM STREAM mail;

CREATE STREAMING TABLE tumbling USING cassandra OPTIONS (keyspace 'operators', table 'tumbling', outputMode 'append') AS
  SELECT item, window(at, '10 minutes').start AS start, window(at, '10 minutes').end AS stop, count(*) AS n, sum(quantity) AS quantity, sum(price) AS takings
  FROM STREAM orders WATERMARK at DELAY OF INTERVAL 5 MINUTES GROUP BY item, window(at, '10 minutes');

CREATE STREAMING TABLE sliding USING cassandra OPTIONS (keyspace 'operators', table 'sliding', outputMode 'update') AS
  SELECT item, window(at, '20 minutes', '5 minutes').start AS start, count(*) AS n, max(CAST(price AS DOUBLE)) AS dearest
  FROM STREAM orders WATERMARK at DELAY OF INTERVAL 1 DAY GROUP BY item, window(at, '20 minutes', '5 minutes');

CREATE STREAMING TABLE aggregates USING cassandra OPTIONS (keyspace 'operators', table 'aggregates', outputMode 'update') AS
  SELECT item, count(*) AS n, count(note) AS notes, count_if(gift) AS gifts, sum(quantity) AS quantity, sum(price) AS takings, avg(quantity) AS mean, avg(price) AS mean_price,
         min(CAST(price AS DOUBLE)) AS least, max(CAST(price AS DOUBLE)) AS most, min(note) AS first_note, max(note) AS last_note,
         stddev(quantity) AS spread, variance(quantity) AS variance, stddev_pop(quantity) AS spread_all, var_pop(quantity) AS variance_all,
         covar_samp(quantity, CAST(price AS DOUBLE)) AS covariance, corr(quantity, CAST(price AS DOUBLE)) AS correlation,
         skewness(quantity) AS skew, kurtosis(quantity) AS flat, bool_and(gift) AS every_gift, bool_or(gift) AS any_gift,
         bit_and(quantity) AS bits_and, bit_or(quantity) AS bits_or, bit_xor(quantity) AS bits_xor, max_by(id, price) AS dearest, min_by(id, price) AS cheapest,
         approx_count_distinct(customer) AS customers, array_sort(collect_set(shop)) AS shops, array_sort(collect_list(quantity)) AS quantities,
         percentile(quantity, 0.5) AS middle
  FROM STREAM orders GROUP BY item;

CREATE TEMPORARY VIEW days AS SELECT customer, date_trunc('DAY', at) AS day FROM STREAM orders;

CREATE STREAMING TABLE distinct_days USING cassandra OPTIONS (keyspace 'operators', table 'distinct_days', outputMode 'update') AS
  SELECT DISTINCT customer, day FROM STREAM days WATERMARK day DELAY OF INTERVAL 2 DAYS;

CREATE STREAMING TABLE once USING cassandra OPTIONS (keyspace 'operators', table 'once', dropDuplicatesWithinWatermark 'id') AS
  SELECT id, item, at FROM STREAM orders WATERMARK at DELAY OF INTERVAL 1 HOUR;

CREATE STREAMING TABLE priced USING cassandra OPTIONS (keyspace 'operators', table 'priced') AS
  SELECT o.id, o.item, coalesce(i.category, 'unknown') AS category, CAST(o.quantity AS BIGINT) * i.weight AS load
  FROM STREAM orders o LEFT JOIN items i ON o.item = i.item;

CREATE STREAMING TABLE known USING cassandra OPTIONS (keyspace 'operators', table 'known') AS
  SELECT o.id, i.category FROM STREAM orders o JOIN items i ON o.item = i.item AND i.weight > 100;

-- Two streams: who paid within the hour, and who did not.
CREATE STREAMING TABLE paid USING cassandra OPTIONS (keyspace 'operators', table 'paid') AS
  SELECT o.id, p.payment, o.item, p.amount, unix_seconds(p.paid) - unix_seconds(o.at) AS waited
  FROM (SELECT id, item, at FROM STREAM orders WATERMARK at DELAY OF INTERVAL 10 MINUTES) o
  JOIN (SELECT payment, id AS of_order, amount, paid FROM STREAM payments WATERMARK paid DELAY OF INTERVAL 10 MINUTES) p
  ON o.id = p.of_order AND p.paid >= o.at AND p.paid <= o.at + INTERVAL 1 HOUR;

CREATE STREAMING TABLE unpaid USING cassandra OPTIONS (keyspace 'operators', table 'unpaid') AS
  SELECT o.id, p.payment, o.at
  FROM (SELECT id, at FROM STREAM orders WATERMARK at DELAY OF INTERVAL 10 MINUTES) o
  LEFT JOIN (SELECT payment, id AS of_order, paid FROM STREAM payments WATERMARK paid DELAY OF INTERVAL 10 MINUTES) p
  ON o.id = p.of_order AND p.paid >= o.at AND p.paid <= o.at + INTERVAL 1 HOUR;

CREATE STREAMING TABLE sessions USING cassandra OPTIONS (keyspace 'operators', table 'sessions', outputMode 'append') AS
  SELECT customer, session_window.start AS start, session_window.end AS stop, count(*) AS n
  FROM STREAM orders WATERMARK at DELAY OF INTERVAL 5 MINUTES GROUP BY customer, session_window(at, '30 minutes');

-- Out to a topic, and in again.
CREATE STREAMING TABLE alarms USING kafka OPTIONS (topic 'alarms') AS
  SELECT CAST(id AS STRING) AS key, to_json(struct(id, item, price, quantity, at, due, gift, tags, options, delivery)) AS value FROM STREAM orders WHERE price >= 90;

CREATE TEMPORARY VIEW alarms_raw USING kafka OPTIONS (subscribe 'alarms', startingOffsets 'earliest');

CREATE STREAMING TABLE alarms_table USING cassandra OPTIONS (keyspace 'operators', table 'alarms') AS
  SELECT CAST(key AS STRING) AS key, CAST(value AS STRING) AS value FROM STREAM alarms_raw;
