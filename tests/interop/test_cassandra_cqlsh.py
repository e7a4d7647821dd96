"""cqlsh from PyPI, unmodified: DESCRIBE, SELECT, COPY TO, COPY FROM, tracing, a file of statements."""
import os
import subprocess

import clients
import pytest
from cassandra_door import Door

SCHEMA = """CREATE KEYSPACE shop WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};
USE shop;
CREATE TYPE price (amount decimal, currency text);
CREATE TABLE goods (id int, at timestamp, name text, cost frozen<price>, tags set<text>, attrs map<text, int>, PRIMARY KEY (id, at)) WITH CLUSTERING ORDER BY (at DESC);
CREATE INDEX goods_name ON goods (name);
INSERT INTO goods (id, at, name, cost, tags, attrs) VALUES (1, '2024-01-02 03:04:05+0000', 'cup', {amount: 1.50, currency: 'EUR'}, {'b', 'a'}, {'x': 1});
INSERT INTO goods (id, at, name) VALUES (2, '2024-01-02 03:04:05+0000', 'žid, "le"');
"""


@pytest.fixture(scope="module")
def shell():
    python = clients.python("cqlsh==6.2.2")
    with Door() as door:
        def run(text, ok=True):
            done = subprocess.run([python, os.path.join(os.path.dirname(python), "cqlsh"), "127.0.0.1", str(door.port), "--no-color", "--encoding", "utf-8"],
                                  input=text, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, "PYTHONIOENCODING": "utf-8"})
            if ok:
                assert done.returncode == 0 and not done.stderr.strip(), done.stdout + done.stderr
            return done.stdout + done.stderr
        run(SCHEMA)
        yield run


def test_select(shell):
    out = shell("SELECT * FROM shop.goods WHERE id = 1;")
    assert "{amount: 1.50, currency: 'EUR'}" in out and "{'a', 'b'}" in out and "(1 rows)" in out, out


def test_describe(shell):
    assert "shop" in shell("DESCRIBE KEYSPACES;")
    assert "goods" in shell("USE shop; DESCRIBE TABLES;")
    table = shell("DESCRIBE TABLE shop.goods;")
    assert "CREATE TABLE shop.goods" in table and "CLUSTERING ORDER BY (at DESC)" in table and "goods_name" in table, table
    keyspace = shell("DESCRIBE KEYSPACE shop;")
    assert "CREATE KEYSPACE shop" in keyspace and "CREATE TYPE shop.price" in keyspace and "CREATE TABLE shop.goods" in keyspace, keyspace
    assert "CREATE TYPE shop.price" in shell("DESCRIBE TYPE shop.price;")
    assert "price" in shell("USE shop; DESCRIBE TYPES;")
    assert "CREATE INDEX goods_name" in shell("DESCRIBE INDEX shop.goods_name;")
    assert "Murmur3Partitioner" in shell("DESCRIBE CLUSTER;")
    assert "CREATE KEYSPACE shop" in shell("DESCRIBE SCHEMA;")


def test_errors_are_shown(shell):
    assert "SyntaxException" in shell("SELEC 1;", ok=False)
    assert "InvalidRequest" in shell("SELECT * FROM shop.nope;", ok=False)


def test_copy_out_and_in(shell, tmp_path):
    path = tmp_path / "goods.csv"
    out = shell(f"COPY shop.goods (id, at, name, cost, tags, attrs) TO '{path}' WITH HEADER = true;")
    assert "2 rows exported" in out, out
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "id,at,name,cost,tags,attrs" and len(lines) == 3, lines
    out = shell(f"TRUNCATE shop.goods; COPY shop.goods (id, at, name, cost, tags, attrs) FROM '{path}' WITH HEADER = true;")
    assert "2 rows imported" in out, out
    again = tmp_path / "again.csv"
    shell(f"COPY shop.goods (id, at, name, cost, tags, attrs) TO '{again}' WITH HEADER = true;")
    assert sorted(again.read_text(encoding="utf-8").splitlines()) == sorted(lines)


def test_copy_many_rows(shell, tmp_path):
    path = tmp_path / "many.csv"
    path.write_text("".join(f"{i},{i * 2}\n" for i in range(5000)), encoding="utf-8")
    out = shell(f"CREATE TABLE shop.many (k int PRIMARY KEY, v int); COPY shop.many FROM '{path}'; SELECT count(*) FROM shop.many;")
    assert "5000 rows imported" in out and " 5000\n" in out, out


def test_tracing_and_expand(shell):
    out = shell("TRACING ON; SELECT * FROM shop.goods WHERE id = 2; TRACING OFF;")
    assert "Tracing session" in out, out
    assert "@ Row 1" in shell("EXPAND ON; SELECT id FROM shop.goods WHERE id = 2;")
