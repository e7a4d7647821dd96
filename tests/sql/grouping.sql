CREATE TEMPORARY VIEW t AS SELECT * FROM VALUES ('a', 'x', 1), ('a', 'y', 2), ('b', 'x', 3), (NULL, 'x', 4) v(k, l, n);
SELECT k, l, sum(n) s, grouping_id() g FROM t GROUP BY ROLLUP(k, l) ORDER BY g, k, l;
SELECT k, l, count(*) c FROM t GROUP BY GROUPING SETS ((k), (l), ()) ORDER BY k, l, c;
SELECT grouping(k) gk, l, sum(n) FROM t GROUP BY CUBE(k, l) ORDER BY gk, l, 3;
SELECT upper(k) u, sum(n) FROM t GROUP BY u HAVING sum(n) > 2 ORDER BY 2;
SELECT k, sum(n) FILTER (WHERE l = 'x') x, count(DISTINCT l) d FROM t GROUP BY ALL ORDER BY k;
SELECT k, n FROM t GROUP BY k;
SELECT sum(sum(n)) FROM t;
SELECT k, sum(n) OVER (PARTITION BY k ORDER BY n) r, rank() OVER (ORDER BY n DESC) q FROM t ORDER BY n;
SELECT k, sum(sum(n)) OVER () FROM t GROUP BY k ORDER BY k;
SELECT k FROM t QUALIFY row_number() OVER (PARTITION BY k ORDER BY n DESC) = 1 ORDER BY k;
SELECT DISTINCT l FROM t ORDER BY l DESC;
SELECT l, k FROM t ORDER BY n * -1 LIMIT 2 OFFSET 1;
SELECT * FROM (SELECT k, l, n FROM t) PIVOT (sum(n) FOR l IN ('x', 'y' AS why)) ORDER BY k;
SELECT * FROM (SELECT 1 id, 2 a, 3 b) UNPIVOT (v FOR n IN (a, b AS bee)) ORDER BY v;
SELECT k FROM t UNION SELECT 'z' EXCEPT SELECT 'a' ORDER BY 1;
SELECT n FROM t INTERSECT ALL SELECT 3;
SELECT 1 a, 2 b UNION ALL BY NAME SELECT 3 b, 4 a ORDER BY a
