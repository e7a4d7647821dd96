CREATE TEMPORARY VIEW t AS SELECT * FROM VALUES (1, 'a'), (2, 'b'), (NULL, 'c') v(i, s);
CREATE TEMPORARY VIEW u AS SELECT * FROM VALUES (1, 10), (1, 11), (3, 30), (NULL, 40) v(i, n);
SELECT t.i, s, n FROM t JOIN u ON t.i = u.i ORDER BY n;
SELECT t.i, s, n FROM t LEFT JOIN u ON t.i = u.i AND n > 10 ORDER BY s, n;
SELECT * FROM t FULL JOIN u USING (i) ORDER BY i, s, n;
SELECT s FROM t LEFT SEMI JOIN u ON t.i = u.i ORDER BY s;
SELECT s FROM t LEFT ANTI JOIN u ON t.i = u.i ORDER BY s;
SELECT count(*) FROM t, u;
SELECT s, n FROM t, u WHERE t.i <=> u.i ORDER BY s, n;
SELECT * FROM t NATURAL JOIN u ORDER BY n;
SELECT x.i FROM t x RIGHT JOIN u y ON x.i = y.i ORDER BY y.n;
SELECT i FROM t JOIN u ON t.i = u.i;
SELECT s, e FROM t, LATERAL explode(array(i, i + 1)) AS x(e) ORDER BY s, e;
SELECT s, m FROM t, LATERAL (SELECT max(n) AS m FROM u WHERE u.i = t.i) ORDER BY s
