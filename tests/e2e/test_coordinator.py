"""Two instances of one project: ZooKeeper elects, a third instance's Kafka door is the broker that both share and whose transactions fence."""
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
from concurrent.futures import ThreadPoolExecutor

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from instance import ROOT, Instance, binary, command, environment  # noqa: E402
from ports import free_port  # noqa: E402
from test_spark import spark_of  # noqa: E402
from zookeeper import Wire, ZooKeeper  # noqa: E402

SESSION_MS = 1500
CALM_MS = 5000  # where a lead that is lost on a busy machine would change what is said: who starts again has the configuration at once

DAG = """
from datetime import datetime
from airflow import DAG
from airflow.operators.bash import BashOperator
with DAG("chain", start_date=datetime(2024, 1, 1), schedule=None, catchup=False):
    last = None
    for i in range(12):
        task = BashOperator(task_id="t%02d" % i, bash_command="echo {{ run_id }} t%02d >> FOLDER/ran; sleep 0.05" % i)
        if last:
            last >> task
        last = task
"""
PIPELINE = """
CREATE TEMPORARY VIEW raw USING kafka OPTIONS (subscribe 'in', startingOffsets 'earliest');
CREATE STREAMING TABLE totals USING kafka OPTIONS (topic 'out', outputMode 'update') AS
  SELECT CAST(key AS STRING) AS key, CAST(count(*) AS STRING) AS value FROM STREAM raw GROUP BY key;
"""


@pytest.fixture(scope="module")
def server():
    with ZooKeeper() as z:
        yield z


@pytest.fixture
def zookeeper(server):
    """The module's server, as it should be again after a test that failed half-way."""
    yield server
    if server.process.poll() is None:
        server.signal(signal.SIGCONT)
    else:
        server.start()


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    folder = tmp_path_factory.mktemp("broker")
    (folder / "dags").mkdir()
    with Instance(str(folder)) as b:
        yield b


class Pair:
    """Two instances, a and b, of a project in folder."""

    def __init__(self, folder, zookeeper, broker, path, session_ms=SESSION_MS, first=None, who="", **env):
        self.folder = folder
        env = dict(TIDEMILL_BROKER="kafka://127.0.0.1:%d" % broker.kafka, TIDEMILL_COORDINATOR=zookeeper.address(path, session_ms, who),
                   **env)
        self.a, self.b = first or Instance(str(folder), **env), Instance(str(folder), **env)

    def __enter__(self):
        self.a.start()
        self.leader(among=[self.a])
        self.b.start()
        return self

    def __exit__(self, *_):
        for i in (self.a, self.b):
            if i.process and i.process.poll() is None:
                i.process.send_signal(signal.SIGCONT)
                i.stop()

    def role(self, i):
        try:
            return i.get("/api/status")["coordinator"]
        except (urllib.error.URLError, ConnectionError, OSError):
            return {"role": "gone", "waiting_for": ""}

    def leader(self, timeout=20, among=None):
        """The one that acts, once one does; and the other."""
        until = time.time() + timeout
        while time.time() < until:
            for i in among or (self.a, self.b):
                if i.process.poll() is None and self.role(i)["role"] == "leader":
                    return i, self.b if i is self.a else self.a
            time.sleep(0.02)
        raise AssertionError("nobody leads after %d s (ended: %s, %s)\n%s\n%s" % (timeout, self.a.process.poll(), self.b.process.poll(), self.a.output(),
                                                                                 self.b.output()))


class Visitor(threading.Thread):
    """Asks an instance for its page's picture, one request after the other."""

    def __init__(self, instance):
        super().__init__(daemon=True)
        self.instance, self.answers, self.turned_away, self.over = instance, 0, [], False
        self.start()

    def run(self):
        while not self.over:
            try:
                self.instance.get("/api/status")
                self.answers += 1
            except OSError as e:
                self.turned_away.append(repr(e))
            time.sleep(0.001)

    def end(self):
        self.over = True
        self.join()
        return self.answers


def project(folder, dag=True, pipeline=False):
    (folder / "dags").mkdir()
    if dag:
        (folder / "dags" / "chain.py").write_text(DAG.replace("FOLDER", str(folder)))
    if pipeline:
        (folder / "pipelines").mkdir()
        (folder / "pipelines" / "totals.sql").write_text(PIPELINE)
    return folder


def run_state(i, run_id):
    try:
        return i.get("/api/dags/chain/runs/%s" % run_id)
    except urllib.error.HTTPError as e:
        assert e.code == 404
        return {"state": "none", "tasks": []}


def test_one_leads_and_the_other_takes_over(zookeeper, broker, tmp_path):
    folder = project(tmp_path)
    with Pair(folder, zookeeper, broker, "/e2e/over") as pair:
        leader, follower = pair.leader()
        follower.wait(lambda: pair.role(follower)["role"] == "follower")
        said = pair.role(follower)
        assert said["leader"] == pair.role(leader)["self"] and said["leader"].endswith(":%d" % leader.http)
        # A follower shows what is there, and refuses to act, with the leader's address.
        leader.wait(lambda: leader.get("/api/status")["dags"])
        follower.wait(lambda: follower.get("/api/status")["dags"])
        with pytest.raises(urllib.error.HTTPError) as refused:
            follower.post("/api/dags/chain/trigger", {})
        assert refused.value.code == 503 and b"follows" in refused.value.read()
        leader.post("/api/dags/chain/trigger", {"run_id": "one"})
        leader.wait(lambda: run_state(leader, "one")["state"] == "success")
        follower.wait(lambda: run_state(follower, "one")["state"] == "success", timeout=5)
        # It ends: the other one leads at once.
        leader.process.send_signal(signal.SIGTERM)
        began = time.time()
        pair.leader(among=[follower])
        assert time.time() - began < SESSION_MS / 1000
        assert leader.stop() == 0
        # The history has moved, and a run_id cannot be used again.
        assert run_state(follower, "one")["state"] == "success"
        with pytest.raises(urllib.error.HTTPError):
            follower.post("/api/dags/chain/trigger", {"run_id": "one"})
        assert len(open(folder / "ran").read().split("\n")) == 13


@pytest.mark.once
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_no_task_that_told_its_end_runs_twice(zookeeper, broker, tmp_path, how):
    """The leader is killed, or paused longer than its session, in the middle of a run, again and again."""
    folder = project(tmp_path)
    with Pair(folder, zookeeper, broker, "/e2e/twice%d" % how) as pair:
        for turn in range(3):
            leader, follower = pair.leader()
            run = "run-%d" % turn
            leader.wait(lambda: leader.get("/api/status")["dags"])
            leader.post("/api/dags/chain/trigger", {"run_id": run})
            leader.wait(lambda: sum(t["state"] == "success" for t in run_state(leader, run)["tasks"]) >= 2 + turn * 3)
            told = {t["task_id"] for t in run_state(leader, run)["tasks"] if t["state"] == "success"}
            leader.process.send_signal(how)
            began = time.time()
            if how == signal.SIGKILL:
                leader.process.wait()
            pair.leader(among=[follower])
            assert time.time() - began < 3 * SESSION_MS / 1000
            follower.wait(lambda: run_state(follower, run)["state"] == "success")
            if how == signal.SIGSTOP:
                leader.process.send_signal(signal.SIGCONT)
                leader.wait(lambda: pair.role(leader)["role"] == "follower")
                assert pair.role(follower)["role"] == "leader"
            else:
                leader.start()
            lines = [line.split() for line in open(folder / "ran").read().splitlines()]
            ran = [t for r, t in lines if r == run]
            assert len(set(ran)) == 12
            again = {t for t in ran if ran.count(t) > 1}
            assert not again & told, (again, told)
            assert len(ran) <= 12 + 2  # what was under way when it was lost


@pytest.mark.once
def test_a_pipeline_goes_on_where_it_was(zookeeper, broker, tmp_path):
    kafka = pytest.importorskip("kafka")
    folder = project(tmp_path, dag=False, pipeline=True)
    producer = kafka.KafkaProducer(bootstrap_servers="127.0.0.1:%d" % broker.kafka)
    sent = 0
    with Pair(folder, zookeeper, broker, "/e2e/pipeline") as pair:
        for turn in range(6):
            leader, follower = pair.leader()
            for _ in range(200):
                producer.send("in", key=b"k%d" % (sent % 7), value=b"v")
                sent += 1
            producer.flush()
            leader.process.send_signal(signal.SIGKILL if turn % 2 else signal.SIGSTOP)
            pair.leader(among=[follower])
            if turn % 2:
                leader.process.wait()
                leader.start()
            else:
                leader.process.send_signal(signal.SIGCONT)
        consumer = kafka.KafkaConsumer("out", bootstrap_servers="127.0.0.1:%d" % broker.kafka, auto_offset_reset="earliest",
                                       consumer_timeout_ms=20000)
        totals, seen, open_records = {}, [], []
        for record in consumer:
            # This client knows nothing of transactions: it gives their markers as records (key: version, 1 = committed), and what was aborted.
            if not record.key.startswith(b"\0\0"):
                open_records.append((record.key, int(record.value)))
                continue
            for key, count in open_records if record.key == b"\0\0\0\1" else []:
                seen.append((key, count))
                assert totals.get(key, 0) < count, "a count went back, or came twice: %s" % seen[-20:]
                totals[key] = count
            open_records = []
            if sum(totals.values()) == sent:
                break
        assert sum(totals.values()) == sent and len(totals) == 7


@pytest.mark.once
def test_without_zookeeper_nobody_acts(zookeeper, broker, tmp_path):
    folder = project(tmp_path)
    with Pair(folder, zookeeper, broker, "/e2e/away") as pair:
        leader, follower = pair.leader()
        leader.wait(lambda: leader.get("/api/status")["dags"])
        visitors = [Visitor(leader) for _ in range(3)]
        for how in ("paused", "killed"):
            if how == "paused":
                zookeeper.signal(signal.SIGSTOP)
            else:
                zookeeper.kill()
            for i in (leader, follower):
                i.wait(lambda: pair.role(i)["role"] == "waiting" and "ZooKeeper at 127.0.0.1" in pair.role(i)["waiting_for"], timeout=10)
                i.wait(lambda: "waits for ZooKeeper" in i.output(), timeout=10)  # the page may know it before the log
            with pytest.raises(urllib.error.HTTPError):
                leader.post("/api/dags/chain/trigger", {})
            time.sleep(2)
            if how == "paused":
                zookeeper.signal(signal.SIGCONT)
            else:
                zookeeper.start()
            leader, follower = pair.leader()
        leader.wait(lambda: leader.get("/api/status")["dags"])
        leader.post("/api/dags/chain/trigger", {"run_id": "after"})
        leader.wait(lambda: run_state(leader, "after")["state"] == "success")
        for visitor in visitors:  # an instance that starts again as a follower keeps its door
            assert visitor.end() > 100 and not visitor.turned_away, visitor.turned_away


@pytest.mark.once
def test_a_leader_that_is_cut_off_from_zookeeper_stops_before_the_next_begins(zookeeper, broker, tmp_path):
    folder = project(tmp_path)
    wire = Wire(zookeeper.port)
    broker_address = "kafka://127.0.0.1:%d" % broker.kafka
    cut = Instance(str(folder), TIDEMILL_BROKER=broker_address,
                   TIDEMILL_COORDINATOR="zookeeper://127.0.0.1:%d/e2e/cut?session_timeout_ms=%d" % (wire.port, SESSION_MS))
    with Pair(folder, zookeeper, broker, "/e2e/cut", first=cut) as pair:
        leader, follower = pair.leader()
        assert leader is cut
        leader.wait(lambda: leader.get("/api/status")["dags"])
        leader.post("/api/dags/chain/trigger", {"run_id": "one"})
        leader.wait(lambda: sum(t["state"] == "success" for t in run_state(leader, "one")["tasks"]) >= 2)
        wire.cut = True
        seen = []
        until = time.time() + 15
        while time.time() < until and (not seen or seen[-1][1] != "leader"):
            seen.append((pair.role(leader)["role"], pair.role(follower)["role"]))
            assert seen[-1] != ("leader", "leader")
            time.sleep(0.02)
        assert seen[-1][1] == "leader" and ("waiting", "follower") in seen, seen[-5:]
        leader.wait(lambda: "waits for ZooKeeper" in leader.output(), timeout=10)
        follower.wait(lambda: run_state(follower, "one")["state"] == "success")
        wire.cut = False
        leader.wait(lambda: pair.role(leader)["role"] == "follower")
        assert pair.role(follower)["role"] == "leader"
    wire.close()


@pytest.mark.once
def test_a_broker_that_is_away_is_waited_for(zookeeper, tmp_path):
    (tmp_path / "broker").mkdir()
    (tmp_path / "project").mkdir()
    (tmp_path / "broker" / "dags").mkdir()
    folder = project(tmp_path / "project")
    broker = Instance(str(tmp_path / "broker"), data=str(tmp_path / "broker" / "data"), TIDEMILL_LISTEN_KAFKA="127.0.0.1:%d" % free_port())
    (tmp_path / "broker" / "data").mkdir()
    with broker:
        with Pair(folder, zookeeper, broker, "/e2e/broker") as pair:
            leader, follower = pair.leader()
            leader.wait(lambda: leader.get("/api/status")["dags"])
            for turn in range(2):
                run = "run-%d" % turn
                leader.post("/api/dags/chain/trigger", {"run_id": run})
                leader.wait(lambda: sum(t["state"] == "success" for t in run_state(leader, run)["tasks"]) >= 2)
                broker.kill()
                time.sleep(4)
                for i in (leader, follower):
                    assert i.process.poll() is None, i.output()
                leader.wait(lambda: "waits: " in leader.output() + follower.output(), timeout=10)
                broker.start()
                leader, follower = pair.leader()
                leader.wait(lambda: run_state(leader, run)["state"] == "success")
            lines = [tuple(line.split()) for line in open(folder / "ran").read().splitlines()]
            assert len(set(lines)) == 24 and len(lines) <= 26


@pytest.mark.once
def test_a_silent_zookeeper_does_not_hold_up_the_end(zookeeper, broker, tmp_path):
    folder = project(tmp_path)
    with Pair(folder, zookeeper, broker, "/e2e/silent") as pair:
        leader, follower = pair.leader()
        zookeeper.signal(signal.SIGSTOP)
        try:
            time.sleep(0.3)
            for i in (leader, follower):
                began = time.time()
                assert i.stop() == 0
                assert time.time() - began < 5
        finally:
            zookeeper.signal(signal.SIGCONT)


VARIABLE_DAG = """
from datetime import datetime
from airflow import DAG
from airflow.models import Variable
from airflow.operators.python import PythonOperator
with DAG("shows", start_date=datetime(2024, 1, 1), schedule=None, catchup=False):
    PythonOperator(task_id="show", python_callable=lambda: Variable.get("region") + "/" + Variable.get("own", default_var="-"))
"""


def shown(i, run):
    i.wait(lambda: [d for d in i.get("/api/status")["dags"] if d["dag_id"] == "shows"])
    i.post("/api/dags/shows/trigger", {"run_id": run})
    state = i.wait(lambda: (lambda r: r["state"] in ("success", "failed") and r)(i.get("/api/dags/shows/runs/%s" % run)))
    assert state["state"] == "success", state
    log = i.get_text("/api/dags/shows/runs/%s/tasks/show/log" % run)
    return re.search(r"Returned value was: (\S+)", log).group(1).strip("'")


def test_the_shared_configuration_is_applied(zookeeper, broker, tmp_path):
    folder = project(tmp_path, dag=False)
    (folder / "dags" / "shows.py").write_text(VARIABLE_DAG)
    (folder / "tidemill.yaml").write_text("variables: {region: file}\n")
    with Pair(folder, zookeeper, broker, "/e2e/config", CALM_MS) as pair:
        leader, follower = pair.leader()
        assert shown(leader, "one") == "file/-"
        # The commands of docs/coordinator.md.
        with open(os.path.join(ROOT, "docs", "coordinator.md"), encoding="utf-8") as f:
            commands = re.findall(r"^zkCli.sh -server \S+ (create|set) \S+ \"(.*)\"$", f.read(), re.M)
        assert [c[0] for c in commands] == ["create", "set"]
        for word, text in commands:
            zookeeper.cli([word, "/e2e/config/config", text])
            region = re.search(r"region: (\w+)", text).group(1)
            for i in (leader, follower):
                i.wait(lambda: i.output().count("configuration are applied") >= 1 + (word == "set"))
            assert shown(leader, "with-" + region) == region + "/-"
        for text, said in [("variables: {region: andes, own: x}\nhosts: {h: 127.0.0.1}", "needs a restart for: hosts"),
                           ("variabels: {}", "unknown key 'variabels'"), ("data: /tmp", "data belongs to each instance")]:
            zookeeper.cli(["set", "/e2e/config/config", text])
            for i in (leader, follower):
                i.wait(lambda: said in i.output() and any(said in f["what"] for f in i.get("/api/diagnosis")))
        assert shown(leader, "last") == "andes/x"  # what is wrong changed nothing
        # Who starts with it has it at once.
        zookeeper.cli(["set", "/e2e/config/config", "variables: {region: start}"])
        leader.process.send_signal(signal.SIGKILL)
        leader.process.wait()
        leader.start()
        leader, follower = pair.leader()
        assert shown(leader, "again") == "start/-"


# In the place of the runner on Spark: with its own leases and commands, and a child for the JVM; "the checkpoint" tells who acted when.
RUNNER = """
import json, os, queue, subprocess, sys, threading, time
from tidemill.spark import death, lease, run
me, told = os.getpid(), run.Told(3)
class Runner:
    spark, events = True, queue.Queue()
description = json.loads(sys.stdin.readline())
Runner.lease = lease.Lease()
subprocess.Popen(["sleep", "600"], preexec_fn=lambda: death.die_with(me))
threading.Thread(target=run.commands, args=(Runner,), daemon=True).start()
told("spark", version="4.3.0", app="none")
assert description["lease"] and Runner.events.get()[0] == "start"
while Runner.events.empty():
    Runner.lease.demand()
    with open(description["checkpoint"] + "/acts", "a") as f:
        f.write("%d %d\\n" % (me, lease.now_ns()))
    told("alive")
    time.sleep(0.01)
told("stopped")
os._exit(0)
"""


def processes(data):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/environ" % pid, "rb") as f, open("/proc/%s/stat" % pid) as s:
                if ("TIDEMILL_SPARK_OWNER=" + data).encode() in f.read().split(b"\0") and s.read().rsplit(")", 1)[1].split()[0] != "Z":
                    found.append(int(pid))
        except OSError:
            pass
    return found


def no_processes(data, within):
    until = time.time() + within
    while processes(data):
        assert time.time() < until, processes(data)
        time.sleep(0.01)


def fake_spark(folder):
    """The environment of an instance, and its project."""
    shutil.copytree(os.path.join(ROOT, "python", "tidemill"), str(folder / "package" / "tidemill"))
    (folder / "package" / "tidemill" / "spark" / "__main__.py").write_text(RUNNER)
    (folder / "shared").mkdir()
    (folder / "project").mkdir()
    return {"TIDEMILL_ENGINE": "local[2]?python=%s&checkpoint=%s" % (spark_of(str(folder), "4.3.0"), folder / "shared"),
            "TIDEMILL_PYTHON_DIR": str(folder / "package")}, project(folder / "project", dag=False, pipeline=True)


@pytest.mark.once
def test_spark_runs_where_the_leader_is(zookeeper, broker, tmp_path):
    """The runner ends with the lead: with a leader that is killed, that is paused while its Spark is not, and that is stopped; and without ZooKeeper."""
    kafka = pytest.importorskip("kafka")
    producer = kafka.KafkaProducer(bootstrap_servers="127.0.0.1:%d" % broker.kafka)
    producer.send("in", key=b"k", value=b"v")
    producer.flush()
    env, folder = fake_spark(tmp_path)
    acts = tmp_path / "shared" / "acts"

    def acted():
        """[(pid, its first moment, its last)] in the order in which they began."""
        lines = [tuple(map(int, line.split())) for line in acts.read_text().splitlines()] if acts.exists() else []
        return sorted(((p, min(t for q, t in lines if q == p), max(t for q, t in lines if q == p)) for p in {p for p, _ in lines}), key=lambda a: a[1])

    with Pair(folder, zookeeper, broker, "/e2e/spark", **env) as pair:
        for turn, how in enumerate((signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL)):
            leader, follower = pair.leader()
            leader.wait(lambda: len(acted()) == turn + 1)
            assert len(processes(leader.data)) == 2 and not processes(follower.data)
            time.sleep(SESSION_MS / 1000)  # its lease goes on
            assert acted()[-1][2] > acted()[-1][1] + SESSION_MS * 800000 and len(leader.get("/api/status")["pipelines"]) == 1
            assert follower.get("/api/status")["pipelines"] == []
            leader.process.send_signal(how)
            no_processes(leader.data, SESSION_MS / 1000)
            if how != signal.SIGSTOP:
                leader.process.wait()
            pair.leader(among=[follower])
            follower.wait(lambda: len(acted()) == turn + 2)
            if how == signal.SIGSTOP:
                leader.process.send_signal(signal.SIGCONT)
                leader.wait(lambda: pair.role(leader)["role"] == "follower")
                assert not processes(leader.data) and processes(follower.data)
            else:
                leader.start()
        zookeeper.signal(signal.SIGSTOP)
        for i in (leader, follower):
            no_processes(i.data, SESSION_MS / 1000)
        zookeeper.signal(signal.SIGCONT)
        pair.leader()
        leader.wait(lambda: len(acted()) == turn + 3)
    times = acted()
    assert all(last < first for (_, _, last), (_, first, _) in zip(times, times[1:])), times
    assert not processes(pair.a.data) and not processes(pair.b.data)


@pytest.mark.once
def test_a_broker_that_is_silent_ends_no_lease(zookeeper, tmp_path):
    """The engine asks it for the topics of queries that wait to be started; Spark goes on hearing that its instance leads."""
    (tmp_path / "broker" / "dags").mkdir(parents=True)
    env, folder = fake_spark(tmp_path)
    with Instance(str(tmp_path / "broker")) as broker:
        with Instance(str(folder), TIDEMILL_BROKER="kafka://127.0.0.1:%d" % broker.kafka, TIDEMILL_COORDINATOR=zookeeper.address("/e2e/mute", SESSION_MS),
                      **env) as leader:
            there = leader.wait(lambda: len(processes(leader.data)) == 2 and processes(leader.data))
            leader.wait(lambda: "does not exist yet" in str(leader.get("/api/status")["pipelines"]))
            broker.process.send_signal(signal.SIGSTOP)
            time.sleep(4 * SESSION_MS / 1000)
            broker.process.send_signal(signal.SIGCONT)
            assert processes(leader.data) == there, leader.output()


def test_a_lead_that_is_lost_while_the_shared_configuration_is_wrong(zookeeper, broker, tmp_path):
    """The instance starts again, by what it read last that was right: what is wrong changes nothing."""
    folder = project(tmp_path, dag=False)
    (folder / "dags" / "shows.py").write_text(VARIABLE_DAG)
    (folder / "tidemill.yaml").write_text("variables: {region: file}\n")
    with Pair(folder, zookeeper, broker, "/e2e/wrong", CALM_MS) as pair:
        leader, follower = pair.leader()
        zookeeper.cli(["create", "/e2e/wrong/config", "variables: {region: right}"])
        for i in (leader, follower):
            i.wait(lambda: "configuration are applied" in i.output())
        said = "unknown key 'variabels'"
        zookeeper.cli(["set", "/e2e/wrong/config", "variabels: {}"])
        for i in (leader, follower):
            i.wait(lambda: said in i.output())
        leader.process.send_signal(signal.SIGSTOP)
        pair.leader(among=[follower])
        leader.process.send_signal(signal.SIGCONT)
        leader.wait(lambda: pair.role(leader)["role"] == "follower")
        leader.wait(lambda: any(said in f["what"] for f in leader.get("/api/diagnosis")))
        follower.process.send_signal(signal.SIGTERM)
        pair.leader(among=[leader])
        assert shown(leader, "after") == "right/-"
        # What was asked to restart for is not said any more after one.
        zookeeper.cli(["set", "/e2e/wrong/config", "variables: {region: right}\nhosts: {h: 127.0.0.1}"])
        leader.wait(lambda: any("restart for: hosts" in f["what"] for f in leader.get("/api/diagnosis")))
        follower.start()
        leader.process.send_signal(signal.SIGSTOP)
        pair.leader(among=[follower])
        leader.process.send_signal(signal.SIGCONT)
        leader.wait(lambda: pair.role(leader)["role"] == "follower")
        leader.wait(lambda: not any("restart for" in f["what"] for f in leader.get("/api/diagnosis")))


SECRET = "hun:ter@2%"  # as it is; in the address it is escaped
ESCAPED = "hun%3Ater%402%25"


def up_ends(folder, tmp_path, **env):
    """`up` of an instance that must not get as far as its page: what it says."""
    data = tmp_path / "ends"
    data.mkdir(exist_ok=True)
    run = subprocess.run([binary(), "up", str(folder)], env=environment(str(data), **env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         universal_newlines=True, timeout=60)
    assert run.returncode == 77, (run.returncode, run.stdout)
    return run.stdout


def test_a_user_with_a_password(zookeeper, broker, tmp_path):
    (tmp_path / "p").mkdir()
    folder = project(tmp_path / "p")
    (folder / "dags" / "shows.py").write_text(VARIABLE_DAG)
    (folder / "tidemill.yaml").write_text("variables: {region: file}\n")
    broker_address = "kafka://127.0.0.1:%d" % broker.kafka
    login = "addauth digest alice:" + SECRET
    with Pair(folder, zookeeper, broker, "/secured/config", CALM_MS, who="alice:" + ESCAPED) as pair:
        leader, follower = pair.leader()
        follower.wait(lambda: pair.role(follower)["role"] == "follower")
        assert pair.role(follower)["leader"] == pair.role(leader)["self"] and pair.role(follower)["instances"] == 2
        assert shown(leader, "one") == "file/-"
        # Nobody else sees or changes anything; the commands of docs/coordinator.md do, where the user logs in.
        said = zookeeper.cli(["ls", "/secured/config"], code=1)
        assert "Insufficient permission" in said, said
        with open(os.path.join(ROOT, "docs", "coordinator.md"), encoding="utf-8") as f:
            commands = re.findall(r"^\[zk\] (.*)$", f.read(), re.M)
        assert [c.split()[0] for c in commands] == ["addauth", "create", "getAcl"]
        assert commands[0] == "addauth digest tidemill:PASSWORD"
        said = zookeeper.cli(lines=[login] + [c.replace("/tidemill/quakes", "/secured/config") for c in commands[1:]])
        assert "'digest,'alice:" in said and "anyone" not in said, said
        for i in (leader, follower):
            i.wait(lambda: "configuration are applied" in i.output())
        assert shown(leader, "two") == "alps/-"
        # With another password, another user or none: it says so and ends, before anything is started.
        for who, word in (("alice:sesame7", "user alice"), ("bob:" + ESCAPED, "user bob"), ("", "names no user")):
            began = time.time()
            text = up_ends(folder, tmp_path, TIDEMILL_BROKER=broker_address, TIDEMILL_COORDINATOR=zookeeper.address("/secured/config", who=who))
            assert "coordinator: ZooKeeper at 127.0.0.1:%d: " % zookeeper.port in text and word in text and "/secured/config/election" in text, text
            assert "sesame7" not in text and "ter@2" not in text and "hun" not in text and "leads" not in text and "page" not in text, text
            assert time.time() - began < 20
        assert pair.role(leader)["role"] == "leader"
        # The password is in nothing that is shown.
        for i in (leader, follower):
            texts = [i.output()] + [i.get_text(path) for path in ("/api/status", "/api/diagnosis", "/metrics", "/health")]
            for words in (["doctor"], ["doctor", "--json"], ["check"], ["check", "--json"]):
                run = subprocess.run([binary(), *words, "--project", str(folder)], env=environment(i.data, **i.env), stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, universal_newlines=True, timeout=60)
                assert "kafka" in run.stdout or "ok" in run.stdout or "follows" in run.stdout or run.returncode == 0, run.stdout
                texts.append(run.stdout)
            for text in texts:
                assert SECRET not in text and ESCAPED not in text and "ter@2" not in text, text


def test_a_server_that_takes_no_passwords(broker, tmp_path):
    folder = project(tmp_path)
    with ZooKeeper(options=["-Dzookeeper.DigestAuthenticationProvider.enabled=false"]) as server:
        text = up_ends(folder, tmp_path, TIDEMILL_BROKER="kafka://127.0.0.1:%d" % broker.kafka,
                       TIDEMILL_COORDINATOR=server.address("/p", who="alice:" + ESCAPED))
        assert "refuses the user's digest authentication" in text and "ter@2" not in text, text


def test_a_shared_configuration_of_somebody_else(zookeeper, broker, tmp_path):
    folder = project(tmp_path, pipeline=True)
    said = zookeeper.cli(lines=["addauth digest carol:x", "create /foreign", 'create /foreign/config "variables: {a: b}" auth::cdrwa'])
    assert said.count("Created /foreign") == 2, said
    for who, word in (("", "names no user, and without one it may not read /foreign/config"), ("alice:" + ESCAPED, "user alice may not read /foreign/config")):
        text = up_ends(folder, tmp_path, TIDEMILL_BROKER="kafka://127.0.0.1:%d" % broker.kafka,
                       TIDEMILL_COORDINATOR=zookeeper.address("/foreign", who=who))
        assert word in text and "ter@2" not in text and "leads" not in text, text


def test_what_cannot_work_is_refused(tmp_path):
    project(tmp_path)
    spark = dict(TIDEMILL_COORDINATOR="zookeeper://127.0.0.1:1/x", TIDEMILL_BROKER="kafka://127.0.0.1:1")
    cases = [({"TIDEMILL_COORDINATOR": "zookeeper://127.0.0.1:1/x"}, "broker is embedded"),
             ({"TIDEMILL_COORDINATOR": "zookeeper://127.0.0.1:1", "TIDEMILL_BROKER": "kafka://127.0.0.1:1"}, "names no path"),
             ({"TIDEMILL_COORDINATOR": "zookeeper://h/p?sesion_timeout_ms=1", "TIDEMILL_BROKER": "kafka://127.0.0.1:1"}, "session_timeout_ms"),
             (dict(spark, TIDEMILL_ENGINE="local[2]"), "engine names no checkpoint"),
             (dict(spark, TIDEMILL_ENGINE="spark://h:7077?checkpoint=checkpoints"), "checkpoint=checkpoints is a relative path"),
             (dict(spark, TIDEMILL_ENGINE="local[2]?checkpoint=%s/data/spark" % tmp_path), "is in the data directory of this one"),
             (dict(spark, TIDEMILL_ENGINE="local[2]?checkpoint=file://%s/data" % tmp_path), "is in the data directory of this one")]
    both = [(word, env, words) for env, words in cases for word in ("check", "up")]
    with ThreadPoolExecutor(len(both)) as pool:  # they wait for what is not there, for seconds
        runs = list(pool.map(lambda c: command(c[0], str(tmp_path), data=str(tmp_path / "data"), **c[1]), both))
    for (word, env, words), run in zip(both, runs):
        assert run.returncode != 0 and words in run.stdout + run.stderr, (word, env, run.stdout + run.stderr)


@pytest.mark.parametrize("checkpoint", ["/mnt/shared/checkpoints", "hdfs://namenode:8020/c", "s3a://bucket/c", "file:///mnt/shared/c"])
def test_a_spark_with_shared_checkpoints_is_accepted(broker, tmp_path, monkeypatch, checkpoint):
    project(tmp_path)
    for name, value in (("COORDINATOR", "zookeeper://127.0.0.1:1/x"), ("BROKER", "kafka://127.0.0.1:%d" % broker.kafka),
                        ("ENGINE", "local[2]?python=%s&checkpoint=%s" % (spark_of(str(tmp_path), "4.3.0"), checkpoint))):
        monkeypatch.setenv("TIDEMILL_" + name, value)
    run = command("check", str(tmp_path), data=str(tmp_path / "data"))
    assert run.returncode == 0, run.stdout + run.stderr
