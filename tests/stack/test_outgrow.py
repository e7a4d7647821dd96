"""docs/outgrow.md, command by command, against real systems of the test's own; after each step the same figures."""
import os
import re
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from moving import ROOT, binary, forward, free_port, own  # noqa: E402
from instance import Instance  # noqa: E402

BROKER = "127.0.0.41"  # the DAG says broker:29092, so the real broker is reached at that port


def sections():
    with open(os.path.join(ROOT, "docs", "outgrow.md"), encoding="utf-8") as f:
        parts = re.split(r"^## (.*)$", f.read(), flags=re.M)
    return [(parts[i], re.findall(r"^```sh\n(.*?)^```", parts[i + 1], re.M | re.S)) for i in range(1, len(parts), 2)]


@pytest.fixture(scope="module")
def feed():
    process = subprocess.Popen([sys.executable, os.path.join(ROOT, "examples", "earthquakes", "replay.py")], stdout=subprocess.PIPE, universal_newlines=True)
    yield process.stdout.readline().strip()
    process.kill()


@pytest.fixture(scope="module")
def servers():
    with own("kafka4") as kafka, own("cassandra") as cassandra, own("zookeeper") as zookeeper, forward(BROKER, 29092, kafka):
        yield {"127.0.0.1:29092": BROKER + ":29092", "127.0.0.1:19042": cassandra, "127.0.0.1 19042": cassandra.replace(":", " "), "127.0.0.1:12181": zookeeper}


class Shell:
    """Runs a block of the page in one folder; what a block exports holds for those behind it."""

    def __init__(self, folder, servers, **env):
        self.folder, self.servers = folder, servers
        for name in ("examples", "deploy", "tests"):
            os.symlink(os.path.join(ROOT, name), os.path.join(folder, name))
        tools = os.path.join(folder, "bin")
        os.makedirs(tools)
        os.symlink(binary(), os.path.join(tools, "tidemill"))
        os.symlink(sys.executable, os.path.join(tools, "python3"))
        self.env = dict(os.environ, PATH=tools + ":" + os.environ["PATH"], AIRFLOW_HOME=os.path.join(folder, "airflow-home"), AIRFLOW_PORT=str(free_port()),
                        TIDEMILL_LISTEN_KAFKA="127.0.0.1:0", TIDEMILL_LISTEN_CASSANDRA="127.0.0.1:0", TIDEMILL_LISTEN_HTTP="127.0.0.1:0",
                        TIDEMILL_PYTHON=sys.executable, **env)

    def run(self, block, **more):
        for usual, real in {**self.servers, **more}.items():
            block = block.replace(usual, real)
        exported = dict(line[len("export "):].split("=", 1) for line in block.splitlines() if line.startswith("export "))
        run = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=600)
        assert run.returncode == 0, "%s\n%s" % (block, run.stdout[-6000:])
        for name, value in exported.items():
            self.env[name] = subprocess.run(["bash", "-c", "echo " + value], env=self.env, stdout=subprocess.PIPE, universal_newlines=True).stdout.strip()
        return run.stdout


def figures(said):
    """What a run came to: records per topic, rows per table."""
    return {m.group(2): int(m.group(3)) for m in re.finditer(r"^ +(topic|table) +(\S+) +(\d+) (?:records|rows)", said, re.M)}


EXPECTED = {"earthquakes": 1707, "earthquakes_clean": 1679, "strong_quakes": 85, "seismic.quakes": 1679, "seismic.quakes_per_hour": 743, "seismic.regions": 67, "seismic.strong_quakes": 85}


def test_every_step(servers, feed, tmp_path_factory, request):
    steps = dict(sections())
    shell = Shell(str(tmp_path_factory.mktemp("outgrow")), servers, EARTHQUAKES_FEED=feed)
    for name in ("spark43", "airflow3"):
        request.getfixturevalue(name)

    said = shell.run("".join(steps["0. Embedded"]))
    assert figures(said) == EXPECTED, said

    move, switch = steps["1. Topics: Apache Kafka"]
    said = shell.run(move)
    assert "topic earthquakes: 1 partition, 1707 records (1707 written now)" in said and said.count("offsets as before") == 3
    said = shell.run(switch)
    assert figures(said) == EXPECTED and "quakes_clean                 0 read" in said, said

    move, switch = steps["2. Tables: Apache Cassandra"]
    said = shell.run(move)
    assert "table seismic.quakes: 1679 rows (1679 written now)" in said and "4 tables at" in said
    said = shell.run(switch)
    assert figures(said) == EXPECTED, said

    check, spark, without = steps["3. Processing: Apache Spark"]
    assert " 0 errors" in shell.run(check)
    said = shell.run(spark)
    assert figures(said) == EXPECTED and "Spark 4.3" in said, said
    said = shell.run(without)
    assert figures(said) == EXPECTED and "Spark" not in said, said

    export, run = steps["4. DAGs: Apache Airflow"]
    said = shell.run(export)
    assert "airflow.env" in said and "warning" not in said, said
    said = shell.run(run)
    assert figures(said) == {**EXPECTED, "earthquakes": 2 * 1707}, said

    # One block after the other in one shell: the second ends what the first began.
    said = shell.run("".join(steps["5. Two machines: Apache ZooKeeper"]))
    assert " 0 errors" in said and said.count(" leads") == 2 and said.count(" follows") == 1 and re.search(r"^ *1679$", said, re.M), said


def test_other_means_and_back(servers, feed, tmp_path_factory):
    sys.path.insert(0, os.path.join(ROOT, "tests", "interop"))
    import clients
    steps = dict(sections())
    shell = Shell(str(tmp_path_factory.mktemp("means")), servers)
    os.symlink(os.path.join(os.path.dirname(clients.python("cqlsh==6.2.2")), "cqlsh"), os.path.join(shell.folder, "bin", "cqlsh"))
    project = os.path.join(shell.folder, "quakes")
    shutil.copytree(os.path.join(ROOT, "examples", "earthquakes"), project)
    with Instance(project, EARTHQUAKES_FEED=feed) as i:
        i.wait(lambda: i.cql("SELECT count(*) FROM seismic.strong_quakes")["rows"] == [[85]], timeout=120)
        shell.env["TIDEMILL_DATA"] = i.data
        ours = {"127.0.0.1:9092": "127.0.0.1:%d" % i.kafka, "127.0.0.1 9042": "127.0.0.1 %d" % i.cassandra, "127.0.0.1:9042": "127.0.0.1:%d" % i.cassandra}
        # The tables are there: made by the steps before, or here.
        shell.run("tidemill export tables seismic --project quakes --to cassandra://127.0.0.1:19042")
        copies = steps["Copying by other means"]
        shell.run(copies[0], **ours)
        assert "85 rows imported" in shell.run(copies[1], **ours)
        from moving import records
        assert len(records(servers["127.0.0.1:29092"], "strong_copy")) == 85
    # Back into an instance that is empty.
    empty = os.path.join(shell.folder, "empty")
    os.makedirs(empty)
    shell.env.pop("TIDEMILL_DATA")
    with Instance(empty) as i:
        ours = {"127.0.0.1:9092": "127.0.0.1:%d" % i.kafka, "127.0.0.1:9042": "127.0.0.1:%d" % i.cassandra}
        said = shell.run("".join(steps["And back"]).replace("strong_quakes", "strong_copy", 1), **ours)
        assert "topic strong_copy: 1 partition, 85 records (85 written now)" in said and "counts and checksums agree" in said, said
        assert i.cql("SELECT count(*) FROM seismic.strong_quakes")["rows"] == [[85]]
