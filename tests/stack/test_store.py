"""`store: cassandra://…` against Apache Cassandra: every type reads back as from the embedded store, the same rows, and the same words where something is
missing. Faults are in test_store_faults.py."""
import os
import sys

import pytest

sys.path[:0] = [os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e")]
import instance  # noqa: E402
import store_cases as cases  # noqa: E402


@pytest.fixture
def keyspace(cassandra, prefix, tmp_path):
    yield prefix + "store"
    with open(str(tmp_path / "tidemill.yaml"), "w", encoding="utf-8") as f:
        f.write("store: cassandra://%s\n" % cassandra)
    instance.command("cql", "DROP KEYSPACE IF EXISTS %sstore" % prefix, project=str(tmp_path))


@pytest.mark.parametrize("more", ["", "?protocol_version=4", "?compression=lz4", "?protocol_version=4&compression=lz4&consistency=ONE"])
def test_every_type_reads_back_as_from_the_embedded_store(cassandra, keyspace, tmp_path, more):
    embedded = cases.types_run(tmp_path / "a", keyspace, str(tmp_path / "da"))
    outside = cases.types_run(tmp_path / "b", keyspace, str(tmp_path / "db"), TIDEMILL_STORE="cassandra://%s%s" % (cassandra, more))
    for a, b in zip(embedded, outside):
        assert a == b


def test_same_rows_as_embedded(cassandra, keyspace, tmp_path):
    project, feed, data = cases.project(tmp_path / "p", keyspace), cases.Feed(), str(tmp_path / "data")
    os.makedirs(data)
    with instance.Instance(project, data=data, TIDEMILL_STORE="cassandra://%s?local_dc=datacenter1" % cassandra) as up:
        feed.send(project, data, 20000)
        up.wait(lambda: cases.all_read(up, 20000))
        cases.same(cases.tables(up, keyspace), feed.expected())
        up.wait(lambda: {t["name"]: t["rows"] for t in up.get("/api/tables")}["events"] == 20000)


def test_what_is_missing_is_said_before_the_start(cassandra, keyspace, tmp_path):
    project, data, store = cases.project(tmp_path / "p", keyspace), str(tmp_path / "data"), "cassandra://%s" % cassandra
    cases.refused(project, data, store + "?local_dc=paris", "paris", "datacenter1")
    with open(os.path.join(project, "tables", "02.cql"), "w", encoding="utf-8") as f:
        f.write("USE nowhere;\n")
    cases.refused(project, data, store, "02.cql:1:1", "Keyspace 'nowhere' does not exist")
    with open(os.path.join(project, "tables", "02.cql"), "w", encoding="utf-8") as f:
        f.write("USE %s;\n-- a comment\nCREATE TABLE IF NOT EXISTS\n  broken (a int PRIMARI KEY);\n" % keyspace)
    cases.refused(project, data, store, "02.cql:4:")
    os.unlink(os.path.join(project, "tables", "02.cql"))
    with open(os.path.join(project, "pipelines", "zz.sql"), "w", encoding="utf-8") as f:
        f.write(cases.ONE_QUERY % (keyspace, "missing", "word"))
    cases.refused(project, data, store, "zz.sql:2", "couldn't find table missing in keyspace " + keyspace)
    with open(os.path.join(project, "pipelines", "zz.sql"), "w", encoding="utf-8") as f:
        f.write(cases.ONE_QUERY % (keyspace, "counts", "wort"))
    cases.refused(project, data, store, "columns not found in table %s.counts: wort" % keyspace)
