"""A real Spark on Tidemill's doors: what spark_checks.py does there must come out as on the real Kafka and Cassandra."""
import json
import os
import subprocess
import sys
import uuid

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cells import drop_keyspaces  # noqa: E402
from conftest import HERE, STACK  # noqa: E402
from instance import Instance  # noqa: E402


def checks(spark, kafka, cassandra, prefix):
    run = subprocess.run([spark.python, os.path.join(HERE, "spark_checks.py"), os.path.join(STACK, "lib", spark.name), kafka, cassandra, prefix],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=1200)
    lines = [line for line in run.stdout.splitlines() if line.startswith("CHECKS ")]
    assert lines, "no answer:\n" + run.stderr[-4000:]
    return json.loads(lines[0][7:])


def delete_topics(spark, kafka, prefix):
    code = ("import sys\nfrom confluent_kafka.admin import AdminClient\na = AdminClient({'bootstrap.servers': sys.argv[1]})\n"
            "names = [t for t in a.list_topics(timeout=30).topics if t.startswith(sys.argv[2])]\n[f.result(30) for f in a.delete_topics(names).values()] if names else None\n")
    subprocess.run([spark.python, "-c", code, kafka, prefix], check=True, timeout=90)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    path = tmp_path_factory.mktemp("empty")
    (path / "tidemill.yaml").write_text("")
    return str(path)


@pytest.mark.parametrize("version", ["spark35", "spark43"])
def test_spark_finds_the_same(request, project, kafka4, cassandra, version):
    spark = request.getfixturevalue(version)
    prefix = "stack_%s_" % uuid.uuid4().hex[:6]
    with Instance(project) as i:
        ours = checks(spark, "127.0.0.1:%d" % i.kafka, "127.0.0.1:%d" % i.cassandra, prefix)
    try:
        real = checks(spark, kafka4, cassandra, prefix)
    finally:
        delete_topics(spark, kafka4, prefix)
        drop_keyspaces(cassandra, prefix)
    assert len(real) > 10
    unlike = ["%s:\n    door %s\n    real %s" % (name, json.dumps(ours.get(name))[:2000], json.dumps(real[name])[:2000]) for name in real if ours.get(name) != real[name]]
    assert not unlike, "%d of %d differ\n%s" % (len(unlike), len(real), "\n".join(unlike))
