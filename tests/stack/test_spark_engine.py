"""engine: local[2] and spark://: the examples on real Sparks, with Tidemill's own broker and tables at its doors; and what happens when
Spark is killed, paused, or its owner is. Results are compared with those of the embedded engine, cell by cell; means of doubles within a
few units in the last place, as Spark does not fix the order of addition."""
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from instance import ROOT, Instance, binary, environment, up_until_idle

WEEK = os.path.join(ROOT, "examples", "earthquakes", "data", "usgs-all-week-2018-02-07.geojson")
SLOW = 900  # a Spark that shares two cores with others


def engine(spark, master="local[2]", **more):
    options = dict({"python": spark.python, "jars": ",".join(spark.jars)}, **more)
    return master + "?" + "&".join("%s=%s" % item for item in options.items())


@pytest.fixture(params=["spark35", "spark43"])
def spark(request):
    return request.getfixturevalue(request.param)


def project(example, where):
    """The example without its DAGs: the test is the producer."""
    to = str(where / os.path.basename(example))
    shutil.copytree(os.path.join(ROOT, "examples", example), to)
    shutil.rmtree(os.path.join(to, "dags"), ignore_errors=True)
    return to


def folder(tmp_path):
    os.makedirs(tmp_path / "data")
    return str(tmp_path / "data")


def users(count, first=0):
    keys = "first_name last_name gender address post_code email username registered_date phone picture".split()
    return [json.dumps(dict({k: "%s é %d" % (k, i) for k in keys}, id="00000000-0000-4000-8000-%012d" % i, post_code=10000 + i)) for i in range(first, first + count)]


def quakes():
    with open(WEEK, encoding="utf-8") as f:
        return [json.dumps(feature) for feature in json.load(f)["features"]]


def produce(instance, topic, values):
    run = subprocess.run([binary(), "topic", "produce", topic, "--project", instance.project], env=environment(instance.data), input="\n".join(values) + "\n",
                         universal_newlines=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    assert run.returncode == 0, run.stdout


def rows(instance, table):
    answer = instance.cql("SELECT * FROM " + table)
    names = [c["name"] for c in answer["columns"]]
    return sorted(([dict(zip(names, row)) for row in answer["rows"]]), key=lambda r: json.dumps(r, sort_keys=True))


def same(ours, theirs):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        assert a.keys() == b.keys()
        for k in a:
            if isinstance(a[k], float) and isinstance(b[k], float):
                assert math.isclose(a[k], b[k], rel_tol=1e-14), (k, a, b)
            else:
                assert a[k] == b[k], (k, a, b)


def caught_up(instance, query, read):
    def look():
        p = {p["name"]: p for p in instance.get("/api/status")["pipelines"]}[query]
        assert p["state"] == "running", p
        return p if p["rows_read"] >= read else None

    return instance.wait(look, timeout=SLOW)


def through(example, where, topic, values, tables, **env):
    """Records first, then the pipelines until they are idle: the summary, and the tables."""
    data = folder(where)
    (where / "bare").mkdir()
    bare = project(example, where / "bare")
    shutil.rmtree(os.path.join(bare, "pipelines"))
    with Instance(bare, data=data) as i:
        produce(i, topic, values)
    summary, status = up_until_idle(project(example, where), data, timeout=SLOW, **env)
    assert status == 0 and summary["ok"], summary
    gone(data)
    with Instance(bare, data=data) as i:
        return summary, {t: rows(i, t) for t in tables}


def processes(data):
    """Whatever still runs of the Spark of this data directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/environ" % pid, "rb") as f:
                if ("TIDEMILL_SPARK_OWNER=" + data).encode() in f.read().split(b"\0"):
                    with open("/proc/%s/cmdline" % pid, "rb") as c:
                        found.append((int(pid), c.read().replace(b"\0", b" ").decode(errors="replace")[:200]))
        except OSError:
            pass
    return found


def jvm(instance):
    return next(pid for pid, line in processes(instance.data) if "java" in line.split(" ")[0])


def gone(data, within=10):
    until = time.time() + within
    while processes(data) and time.time() < until:
        time.sleep(0.1)
    assert processes(data) == []


# ---- the examples ----
def test_users_come_out_as_from_the_embedded_engine(tmp_path, spark):
    table = "spark_streams.created_users"
    values = users(200)
    (tmp_path / "embedded").mkdir()
    _, want = through("users", tmp_path / "embedded", "users_created", values, [table])
    with Instance(project("users", tmp_path), data=folder(tmp_path), TIDEMILL_ENGINE=engine(spark)) as i:
        produce(i, "users_created", values + ['{"first_name": "no id"}', "no JSON"])
        p = caught_up(i, "created_users", 202)
        same(rows(i, table), want[table])
        assert p["rows_written"] == 200 and p["dead_lettered"] == {"null_key": 2} and p["lag"] == 0, p
        started = time.time()
        assert i.stop() == 0 and time.time() - started < 15
    gone(i.data)


def test_earthquakes_come_out_as_from_the_embedded_engine(tmp_path, spark):
    tables = ["seismic.quakes", "seismic.quakes_per_hour", "seismic.strong_quakes"]
    values = quakes()
    for name in ("embedded", "spark"):
        (tmp_path / name).mkdir()
    _, want = through("earthquakes", tmp_path / "embedded", "earthquakes", values, tables)
    summary, got = through("earthquakes", tmp_path / "spark", "earthquakes", values, tables, TIDEMILL_ENGINE=engine(spark))
    pipelines = {p["name"]: p for p in summary["pipelines"]}
    assert pipelines["quakes_clean"]["rows_read"] == len(values) and pipelines["quakes_per_hour"]["watermark"], pipelines
    assert all(p["lag"] == 0 and p["rows_dead_lettered"] == 0 for p in pipelines.values()), pipelines
    for t in tables:
        same(got[t], want[t])


# ---- faults ----
@pytest.fixture
def running(tmp_path, spark):
    where = project("users", tmp_path)
    with Instance(where, data=folder(tmp_path), TIDEMILL_ENGINE=engine(spark)) as i:
        produce(i, "users_created", users(100))
        caught_up(i, "created_users", 100)
        yield i
    gone(i.data)


def test_spark_killed_goes_on_by_itself(running):
    i, sent = running, 100
    for _ in range(2):
        produce(i, "users_created", users(50, sent))
        os.kill(jvm(i), signal.SIGKILL)
        produce(i, "users_created", users(50, sent + 50))
        sent += 100
        i.wait(lambda: len(rows(i, "spark_streams.created_users")) == sent, timeout=SLOW)
    assert "Spark is gone" in i.output() and "starts again" in i.output()
    assert sorted(r["id"] for r in rows(i, "spark_streams.created_users")) == ["00000000-0000-4000-8000-%012d" % n for n in range(sent)]


def test_spark_paused_is_said_and_goes_on(running):
    i, pid = running, jvm(running)
    os.kill(pid, signal.SIGSTOP)
    try:
        produce(i, "users_created", users(100, 100))
        i.wait(lambda: "has not answered for" in json.dumps(i.get("/api/status")), timeout=30)
        time.sleep(20)
    finally:
        os.kill(pid, signal.SIGCONT)
    i.wait(lambda: len(rows(i, "spark_streams.created_users")) == 200, timeout=SLOW)
    assert jvm(i) == pid and "Spark answers again" in i.output()


def test_tidemill_killed_leaves_no_spark_and_loses_nothing(running):
    i = running
    produce(i, "users_created", users(100, 100))
    i.kill()
    gone(i.data)
    i.start()
    produce(i, "users_created", users(100, 200))
    i.wait(lambda: len(rows(i, "spark_streams.created_users")) == 300, timeout=SLOW)


# ---- errors, by hand, on a cluster ----
def test_errors_of_spark_stand_at_their_place(tmp_path, spark):
    where = project("users", tmp_path)
    path = os.path.join(where, "pipelines", "more.sql")
    with open(path, "w", encoding="utf-8") as f:
        f.write("CREATE STREAMING TABLE broken USING noop AS\n  SELECT 1 div (length(CAST(value AS STRING)) - 1) AS x\n  FROM STREAM users_created;\n")
    os.rename(path, os.path.join(where, "pipelines", "z.sql"))
    with Instance(where, data=folder(tmp_path), TIDEMILL_ENGINE=engine(spark)) as i:
        produce(i, "users_created", users(3) + ["x"])

        def failed():
            p = {p["name"]: p for p in i.get("/api/status")["pipelines"]}
            return p if p["broken"]["state"] == "failed" and p["created_users"]["rows_read"] else None

        p = i.wait(failed, timeout=SLOW)
        error = p["broken"]["error"]
        assert (error["class"], os.path.basename(error["file"]), error["line"], error["column"]) == ("DIVIDE_BY_ZERO", "z.sql", 2, 10), error
        assert p["created_users"]["state"] == "running"  # the others go on


def test_by_hand_with_spark_submit(tmp_path, spark):
    where = project("users", tmp_path)
    with Instance(where, data=folder(tmp_path), TIDEMILL_ENGINE="embedded") as i:
        produce(i, "users_created", users(20))
        i.wait(lambda: len(rows(i, "spark_streams.created_users")) == 20)
        i.cql("TRUNCATE spark_streams.created_users")
        with open(tmp_path / "project.json", "wb") as f:
            f.write(subprocess.run([binary(), "describe", where], stdout=subprocess.PIPE, env=environment(i.data), check=True).stdout)
        run = subprocess.run([os.path.join(spark.venv, "bin", "spark-submit"), "--master", "local[2]", "--jars", ",".join(spark.jars),
                              os.path.join(ROOT, "python", "tidemill", "spark", "__main__.py"), str(tmp_path / "project.json"), "--kafka",
                              "127.0.0.1:%d" % i.kafka, "--cassandra", "127.0.0.1:%d" % i.cassandra, "--checkpoint", str(tmp_path / "checkpoints"), "--until-idle"],
                             cwd=str(tmp_path), env=dict(os.environ, PYSPARK_PYTHON=spark.python, PYSPARK_DRIVER_PYTHON=spark.python), stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, universal_newlines=True, timeout=SLOW)
        assert run.returncode == 0, run.stdout[-4000:]
        assert len(rows(i, "spark_streams.created_users")) == 20, run.stdout[-4000:]


@pytest.fixture
def cluster(tmp_path, spark):
    """A standalone master and one worker of the same Spark."""
    import socket

    ports = [socket.socket() for _ in range(2)]
    for s in ports:
        s.bind(("127.0.0.1", 0))
    master, worker = (s.getsockname()[1] for s in ports)
    for s in ports:
        s.close()
    home = subprocess.run([spark.python, "-c", "import pyspark, os; print(os.path.dirname(pyspark.__file__))"], stdout=subprocess.PIPE, universal_newlines=True,
                          check=True).stdout.strip()
    env = dict(os.environ, SPARK_LOCAL_IP="127.0.0.1", SPARK_NO_DAEMONIZE="1", SPARK_LOG_DIR=str(tmp_path), PYSPARK_PYTHON=spark.python,
               SPARK_MASTER_OPTS="-Dspark.ui.enabled=false")
    started = []

    def launch(kind, *args):
        log = open(tmp_path / (kind + ".log"), "wb")
        started.append(subprocess.Popen([os.path.join(home, "bin", "spark-class"), "org.apache.spark.deploy." + kind, *args], env=env, stdout=log, stderr=log,
                                        start_new_session=True))

    launch("master.Master", "--host", "127.0.0.1", "--port", str(master), "--webui-port", "0")
    launch("worker.Worker", "--host", "127.0.0.1", "--port", str(worker), "--webui-port", "0", "--cores", "2", "--memory", "1g", "--work-dir",
           str(tmp_path / "work"), "spark://127.0.0.1:%d" % master)
    yield "spark://127.0.0.1:%d" % master
    for p in started:
        os.killpg(p.pid, signal.SIGKILL)
        p.wait()


def test_a_standalone_cluster(tmp_path, spark, cluster):
    more = {"spark.executor.memory": "600m", "spark.sql.shuffle.partitions": "2"}
    with Instance(project("users", tmp_path), data=folder(tmp_path), SPARK_LOCAL_IP="127.0.0.1", TIDEMILL_ENGINE=engine(spark, cluster, **more)) as i:
        produce(i, "users_created", users(50))
        caught_up(i, "created_users", 50)
        assert len(rows(i, "spark_streams.created_users")) == 50


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-x", "-q"]))
