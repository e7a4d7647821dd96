SELECT 1+1, -x, x||'y', count(*), CAST(x AS STRING), x = 1, NOT x > 2, x IN (1, 2), x IS NULL, CASE WHEN x = 1 THEN 'a' ELSE 'b' END, if(x = 1, 2, 3), coalesce(x, 0) FROM (SELECT 1 x) GROUP BY x;
SELECT s.a, s['a'], arr[0], m['k'], s.a::string FROM (SELECT named_struct('a', 1) s, array(1, 2) arr, map('k', 1) m);
SELECT "text", 1L, 1.50, 1e3, DATE'2026-01-02', X'0a', INTERVAL '1' DAY, NULL, true;
SELECT a AS b, b + 1 AS c, c * 2 FROM VALUES (1) t(a);
SELECT T.A, t.a FROM VALUES (1) t(a);
SELECT nope FROM VALUES (1) t(near);
SELECT a FROM VALUES (1) x(a), VALUES (1) y(a);
SELECT s.b FROM (SELECT named_struct('a', 1) s);
SELECT * EXCEPT (b), s.* FROM (SELECT 1 a, 2 b, named_struct('x', 3, 'y', 4) s);
SELECT explode(map('a', 1)), posexplode(array('x'));
SELECT transform(array(1, 2), (x, i) -> x * 10 + i), filter(array(1, NULL, 3), x -> x > 1);
FROM VALUES (1), (2), (3) t(a) |> WHERE a > 1 |> EXTEND a * 2 AS d |> AGGREGATE sum(d) AS s |> SELECT s + 1 AS r;
SELECT sum(explode(array(1)));
SELECT t.id, n, v FROM VALUES (1, 2, 3) t(id, a, b) UNPIVOT (v FOR n IN (a, b));
SELECT u.id, u.v FROM VALUES (1, 2, 3) t(id, a, b) UNPIVOT (v FOR n IN (a, b)) AS u;
SELECT t.id, u.v FROM VALUES (1, 2, 3) t(id, a, b) UNPIVOT (v FOR n IN (a, b)) AS u;
SELECT t.id, k FROM VALUES (1, 2, 3) t(id, a, b) JOIN VALUES (1, 7) s(k, c) ON k = id UNPIVOT (v FOR n IN (a, b, c));
SELECT t.region, year FROM VALUES ('n', 1, 2) t(region, q1, q2) PIVOT (sum(q1) FOR q2 IN (2 AS year))
