"""deploy/compose.stack.yaml: the earthquakes by Airflow, Kafka, Spark and Cassandra, with Tidemill as the runner and the page; and the same
with Tidemill's own engine on the real Kafka and Cassandra. Both must come to the rows that Tidemill alone comes to."""
import json
import os
import time

import alone
import base
import images
from compose import Compose, first, report, wait

REAL = ["zookeeper", "kafka", "cassandra", "spark", "spark-worker", "postgres", "airflow-apiserver", "airflow-scheduler", "airflow-dag-processor"]
# What the answer is told by: every row of the tables, floating-point numbers to 12 digits.
ROWS = """
import json, sys
from cassandra.cluster import Cluster
s = Cluster([sys.argv[1]], port=9042).connect()
def plain(v):
    return '%.12g' % v if isinstance(v, float) else str(v)
print(json.dumps({t: sorted([plain(v) for v in row] for row in s.execute('SELECT * FROM seismic.' + t)) for t in ('quakes', 'quakes_per_hour', 'strong_quakes', 'regions')}))
"""


class Case:
    def __init__(self, engine):
        self.engine = engine
        self.compose = Compose(engine, "compose.stack.yaml", "tmstack", {"HTTP_PORT": 10, "KAFKA_PORT": 11, "CASSANDRA_PORT": 12, "SPARK_PORT": 13, "AIRFLOW_PORT": 14})
        self.expected = None

    def tests(self):
        return [self.without_passwords, self.built, self.expectation, self.up, self.orchestrated, self.by_spark, self.nothing_open, self.by_tidemill, self.stop]

    def show(self):
        print(self.compose("ps", check=False))
        print(self.compose("logs", "--tail", "25", "tidemill", check=False)[-6000:])

    def done(self):
        self.compose.down()

    def without_passwords(self):
        """without the generated passwords it does not start, and says what to run"""
        self.compose.env.pop("POSTGRES_PASSWORD", None)
        nothing = os.path.join(self.compose.folder, "nothing.env")  # /dev/null is no file for docker-compose 1
        with open(nothing, "w", encoding="ascii"):
            pass
        said = self.compose("--env-file", nothing, "config", check=False)
        assert "deploy/secrets.sh" in said, said[-500:]

    @first
    def built(self):
        """the images are there or are made"""
        base.debian(self.engine)
        images.stack(self.engine)
        start = time.time()
        self.compose.env.update(POSTGRES_PASSWORD="p", AIRFLOW_ADMIN_PASSWORD="p", AIRFLOW_JWT_SECRET="p", AIRFLOW_SECRET_KEY="p", AIRFLOW_FERNET_KEY="p")
        self.compose("build")
        report("built in %.0f s; tidemill-spark is %.0f MB" % (time.time() - start, int(self.engine.out("image", "inspect", "-f", "{{.Size}}", "tidemill-spark:0.1.0")) / 1e6))
        self.compose.env.update(secrets(self.compose.folder))

    def rows(self, network, host):
        out = self.engine.run("run", "--rm", "--network", network, "--entrypoint", "python3", "tidemill-spark:0.1.0", "-W", "ignore", "-c", ROWS, host).stdout
        return json.loads(out.strip().splitlines()[-1])

    @first
    def expectation(self):
        """the rows of Tidemill alone, to compare with"""
        case = alone.Case(self.engine)
        try:
            case.compose("build")
            case.compose("up", "-d", "--no-build")
            wait(lambda: case.rows() == alone.QUAKES and case.rows("seismic.strong_quakes") > 0, 90, "the rows")
            self.expected = self.rows("tmalone_default", "tidemill")
        finally:
            case.done()
        report("rows: " + ", ".join("%s %d" % (t, len(r)) for t, r in self.expected.items()))

    @first
    def up(self):
        """compose up: every service healthy, in the order of what each needs"""
        start = time.time()
        self.compose("up", "-d", "--no-build")
        self.compose.wait_healthy(*REAL, "tidemill", timeout=420)
        report("all %d services healthy after %.0f s" % (len(REAL) + 1, time.time() - start))
        started = {s: self.compose.state(s)["StartedAt"] for s in REAL + ["tidemill"]}
        assert started["tidemill"] > max(started[s] for s in ("kafka", "cassandra", "zookeeper", "spark-worker")), started
        assert started["airflow-scheduler"] > started["airflow-apiserver"] > started["postgres"], started

    def orchestrated(self):
        """Airflow runs the DAG file as it is, into the real Kafka"""
        def succeeded():
            runs = self.compose.execute("airflow-scheduler", "bash", "-c", "airflow dags list-runs earthquakes -o json 2>/dev/null", check=False)
            return "success" in runs
        wait(succeeded, 240, "the DAG run succeeds in Airflow")
        offsets = self.compose.execute("kafka", "bash", "-c", "KAFKA_HEAP_OPTS=-Xmx96m /opt/kafka/bin/kafka-get-offsets.sh --bootstrap-server broker:29092 --topic earthquakes")
        assert sum(int(line.rsplit(":", 1)[1]) for line in offsets.split() if line.startswith("earthquakes:")) >= alone.EVENTS, offsets

    def same_rows(self):
        got = self.rows("tmstack_default", "cassandra")
        return got if got == self.expected else None

    def by_spark(self):
        """Spark's rows in the real Cassandra are those of Tidemill alone"""
        start = time.time()
        wait(self.same_rows, 300, "the rows of Tidemill alone")
        report("all rows equal %.0f s later" % (time.time() - start))
        self.memory()

    def memory(self):
        lines = self.engine.out("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}").splitlines()
        report("memory: " + ", ".join(sorted(line.split(" / ")[0].replace("tmstack_", "").replace("tmstack-", "") for line in lines if "tmstack" in line)))

    def nothing_open(self):
        """every published port is on 127.0.0.1; no password is in what `compose config` shows of the file's own text"""
        for line in self.engine.out("ps", "--filter", "name=tmstack", "--format", "{{.Ports}}").splitlines():
            for port in line.split(", "):
                assert "->" not in port or port.startswith("127.0.0.1:"), line

    def by_tidemill(self):
        """ENGINE=embedded: Tidemill's engine, elected by ZooKeeper, on the real Kafka and Cassandra comes to the same rows"""
        self.compose("rm", "-s", "-f", "tidemill")
        for table in ("quakes", "quakes_per_hour", "strong_quakes"):
            self.engine.run("run", "--rm", "--network", "tmstack_default", "--entrypoint", "python3", "tidemill-spark:0.1.0", "-W", "ignore", "-c",
                            "from cassandra.cluster import Cluster; Cluster(['cassandra']).connect().execute('TRUNCATE seismic.%s', timeout=60)" % table)
        for topic in ("earthquakes_clean", "strong_quakes"):
            self.compose.execute("kafka", "bash", "-c", "KAFKA_HEAP_OPTS=-Xmx96m /opt/kafka/bin/kafka-topics.sh --bootstrap-server broker:29092 --delete --topic " + topic)
        self.compose.env.update(ENGINE="embedded", COORDINATOR="zookeeper://zookeeper:2181/tidemill")
        start = time.time()
        self.compose("up", "-d", "--no-build", "--no-deps", "tidemill")
        self.compose.wait_healthy("tidemill", timeout=120)
        wait(self.same_rows, 120, "the rows of Tidemill alone")
        report("all rows equal %.0f s after its start" % (time.time() - start))

    def stop(self):
        """docker stop ends Tidemill clean within 5 s"""
        name, start = self.compose.container("tidemill"), time.time()
        self.engine.run("stop", "-t", "20", name)
        took, code = time.time() - start, int(self.engine.out("inspect", "-f", "{{.State.ExitCode}}", name))
        report("docker stop took %.2f s, exit status %d" % (took, code))
        assert took < 5 and code == 0


def secrets(folder):
    """What deploy/secrets.sh makes, in a folder of the test's."""
    import shutil
    import subprocess

    from compose import ROOT
    script = shutil.copy(os.path.join(ROOT, "deploy", "secrets.sh"), folder)
    subprocess.run(["sh", script], stdout=subprocess.DEVNULL, check=True)
    with open(os.path.join(folder, ".env"), encoding="utf-8") as f:
        return dict(line.rstrip("\n").split("=", 1) for line in f)
