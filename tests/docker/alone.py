"""deploy/Dockerfile and deploy/compose.yaml: the image, the earthquakes inside, clients from outside and from beside, stop and start."""
import json
import os
import subprocess
import time
import urllib.error

import base
from compose import ROOT, Compose, first, report, wait

IMAGE = "tidemill:0.1.0"
EVENTS, QUAKES = 1707, 1679  # of the recorded week: events sent, earthquakes with a magnitude
CONSUMER = """
import kafka, sys
c = kafka.KafkaConsumer('earthquakes', bootstrap_servers=sys.argv[1], auto_offset_reset='earliest', consumer_timeout_ms=10000, group_id=None)
print(sum(1 for _ in zip(range(%d), c)), sorted('%%s:%%d' %% (b.host, b.port) for b in c._client.cluster.brokers()))
from cassandra.cluster import Cluster
s = Cluster([sys.argv[2]], port=int(sys.argv[3])).connect()
print(s.execute('SELECT count(*) FROM seismic.quakes').one()[0])
""" % EVENTS


class Case:
    def __init__(self, engine):
        self.engine = engine
        self.compose = Compose(engine, "compose.yaml", "tmalone", {"HTTP_PORT": 0, "KAFKA_PORT": 1, "CASSANDRA_PORT": 2})

    def tests(self):
        return [self.image, self.refusal, self.one_run, self.up, self.example, self.from_beside, self.from_the_host, self.only_loopback, self.stop, self.start_again,
                self.stop_in_a_task]

    def show(self):
        print(self.compose("logs", "--tail", "40", check=False))

    def done(self):
        self.compose.down()

    @first
    def image(self):
        """the image is built, small, and does not run as root"""
        base.debian(self.engine)
        start = time.time()
        self.compose("build")
        took = time.time() - start
        # The way without compose is the same image: nothing is built a second time.
        self.engine.run("build", "-t", IMAGE, "--target", "runtime", "-f", os.path.join(ROOT, "deploy/Dockerfile"), ROOT)
        size, root = (int(self.engine.out("image", "inspect", "-f", "{{.Size}}", name)) for name in (IMAGE, "debian:bookworm-slim"))
        report("image size %.0f MB, of which the Debian base %.0f MB; built in %.0f s" % (size / 1e6, root / 1e6, took))
        assert size < 260e6
        user = self.engine.run("run", "--rm", "--entrypoint", "id", IMAGE, "-u").stdout.strip()
        assert user == "10001", user

    def refusal(self):
        """without the statement no door opens beyond the container's loopback"""
        run = self.engine.run("run", "--rm", "-e", "TIDEMILL_LISTEN_HTTP=0.0.0.0:8080", IMAGE, check=False)
        assert run.returncode != 0 and "not a loopback address" in run.stdout and "listen.network" in run.stdout, run.stdout

    def one_run(self):
        """docker run … up --until-idle: the summary, and the end"""
        run = self.engine.run("run", "--rm", "-v", os.path.join(ROOT, "examples/earthquakes") + ":/project:ro", IMAGE, "up", "/project", "--until-idle", "--json", check=False)
        summary = json.loads([line for line in run.stdout.splitlines() if line.startswith("{")][-1])
        assert run.returncode == 0 and summary["ok"], run.stdout[-3000:]

    @first
    def up(self):
        """compose up, and healthy"""
        start = time.time()
        self.compose("up", "-d", "--no-build")
        created = time.time() - start
        wait(lambda: self.compose.get("/health")[0] == 200, 60, "/health answers")
        report("first answer of /health %.1f s after `compose up`, which took %.1f s itself" % (time.time() - start, created))
        self.compose.wait_healthy("tidemill", timeout=60)
        report("healthy for the engine after %.1f s" % (time.time() - start))
        up_in = [line for line in self.compose("logs").splitlines() if "up in" in line]
        report(up_in[0].split("| ")[-1] if up_in else "no banner")

    def rows(self, table="seismic.quakes"):
        out = self.compose.execute("tidemill", "tidemill", "sql", "SELECT count(*) FROM " + table, "--json")
        return json.loads(out)["rows"][0][0]

    def example(self):
        """the earthquakes run inside"""
        wait(lambda: self.rows() == QUAKES, 90, "%d rows in seismic.quakes" % QUAKES)
        dags = json.loads(self.compose.execute("tidemill", "tidemill", "dag", "list", "--json"))
        assert [(d["dag_id"], d["last_run"]["state"]) for d in dags] == [("earthquakes", "success")], dags
        assert "Nothing is wrong" in self.compose.execute("tidemill", "tidemill", "doctor", "/project")

    def from_beside(self):
        """clients in another container of the network are told its name, and read topic and tables"""
        network = self.engine.out("inspect", "-f", "{{range $k, $v := .NetworkSettings.Networks}}{{$k}}{{end}}", self.compose.container("tidemill"))
        out = self.engine.run("run", "--rm", "--network", network, "--entrypoint", "python3", IMAGE, "-c", CONSUMER, "tidemill:29092", "tidemill", "9042").stdout
        assert out.splitlines()[-2:] == ["%d ['tidemill:29092']" % EVENTS, str(QUAKES)], out
        page = "import urllib.request as u; print(u.urlopen('http://tidemill:8080/health').status)"
        assert self.engine.run("run", "--rm", "--network", network, "--entrypoint", "python3", IMAGE, "-c", page).stdout.strip() == "200"

    def from_the_host(self):
        """clients of this machine are told the published address"""
        ports = self.compose.ports
        python = subprocess.run(["/usr/bin/python3", "-c", CONSUMER, "127.0.0.1:%d" % ports["KAFKA_PORT"], "127.0.0.1", str(ports["CASSANDRA_PORT"])],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=60, check=False)
        if "No module named" in python.stderr:
            report("(no kafka-python or Cassandra driver on this machine: tried with neither)")
            return
        assert python.stdout.splitlines() == ["%d ['127.0.0.1:%d']" % (EVENTS, ports["KAFKA_PORT"]), str(QUAKES)], python.stdout + python.stderr
        try:
            self.compose.get("/api/topics", host="rebound.example")
            raise AssertionError("a page under another name was answered")
        except urllib.error.HTTPError as e:
            assert e.code == 403

    def only_loopback(self):
        """every published port is on 127.0.0.1, the root is read-only, no capabilities"""
        info = json.loads(self.engine.out("inspect", self.compose.container("tidemill")))[0]
        bindings = [b["HostIp"] for bs in info["HostConfig"]["PortBindings"].values() for b in bs]
        assert bindings and set(bindings) == {"127.0.0.1"}, bindings
        assert info["HostConfig"]["ReadonlyRootfs"] and info["HostConfig"]["CapDrop"] == ["ALL"] and info["HostConfig"]["Memory"] > 0
        usage = self.engine.out("stats", "--no-stream", "--format", "{{.MemUsage}}", self.compose.container("tidemill"))
        report("memory %s" % usage)

    def stop_within_5_s(self):
        name, start = self.compose.container("tidemill"), time.time()
        self.engine.run("stop", "-t", "20", name)
        took = time.time() - start
        code = int(self.engine.out("inspect", "-f", "{{.State.ExitCode}}", name))
        report("docker stop took %.2f s, exit status %d" % (took, code))
        assert took < 5 and code == 0

    def stop(self):
        """docker stop ends it clean within 5 s"""
        self.stop_within_5_s()

    def start_again(self):
        """what was written is there after a start"""
        self.compose("start")
        self.compose.wait_healthy("tidemill", timeout=60)
        assert self.rows() == QUAKES

    def stop_in_a_task(self):
        """docker stop while a task of a DAG sleeps: within 5 s, too"""
        project = os.path.join(self.compose.folder, "project")
        os.makedirs(os.path.join(project, "dags"))
        os.chmod(self.compose.folder, 0o755)
        with open(os.path.join(project, "dags", "long.py"), "w", encoding="utf-8") as f:
            f.write("import time\nfrom datetime import datetime\nfrom airflow import DAG\nfrom airflow.operators.python import PythonOperator\n"
                    "with DAG('long', start_date=datetime(2024, 1, 1), schedule='@daily', catchup=False):\n"
                    "    PythonOperator(task_id='sleep', python_callable=lambda: time.sleep(600))\n")
        self.compose("down", "-v")
        self.compose.env["PROJECT"] = project
        self.compose("up", "-d", "--no-build")
        wait(lambda: any(run["state"] == "running" for run in json.loads(self.compose.get("/api/dags/long/runs")[1])), 60, "the task runs")
        time.sleep(1)
        self.stop_within_5_s()
