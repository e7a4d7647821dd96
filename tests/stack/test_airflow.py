"""The examples' DAG files, unchanged, in a real Airflow 2.11 and 3.3 with what `tidemill dag export` writes beside them."""
import json
import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from moving import ROOT, binary, forward, free_port, own, records  # noqa: E402
from instance import Instance  # noqa: E402

EVENTS, EARTHQUAKES, USERS = 1707, 1679, 20
SCRIPT = os.path.join(ROOT, "deploy", "airflow", "airflow.sh")
DOOR, KAFKA = "127.0.0.37", "127.0.0.38"  # both listen on 29092, the port that the DAG files name


@pytest.fixture(scope="module", params=["airflow2", "airflow3"])
def airflow(request, tmp_path_factory):
    """run(folder, *words): Airflow's command in the environment that the exported folder describes."""
    installed = request.getfixturevalue(request.param)
    home = str(tmp_path_factory.mktemp(request.param))
    env = dict(os.environ, PATH=os.path.join(installed.venv, "bin") + ":" + os.environ["PATH"], AIRFLOW_HOME=home, AIRFLOW_PORT=str(free_port()),
               AIRFLOW__CORE__PARALLELISM="2", AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME="0.1", USERS_COUNT=str(USERS), USERS_API=request.getfixturevalue("people"),
               EARTHQUAKES_FEED=request.getfixturevalue("feed"))

    def script(*words, timeout=300):
        run = subprocess.run([SCRIPT, *words], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=timeout)
        assert run.returncode == 0, run.stdout[-6000:]
        return run.stdout

    script.version = request.param
    script.env = env
    script.run = lambda folder, *words: script("run", folder, "airflow", *words)

    def fresh(folder):
        """An empty database: the DAG sends only what is new since the last run that it knows of."""
        for name in ("airflow.db", "airflow.db-wal", "airflow.db-shm"):
            if os.path.exists(os.path.join(home, name)):
                os.unlink(os.path.join(home, name))
        script.run(folder, "db", "migrate")

    script.fresh = fresh
    yield script
    script("stop")


def served(*command):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, universal_newlines=True)
    return process, process.stdout.readline().strip()


@pytest.fixture(scope="module")
def feed():
    process, url = served(sys.executable, os.path.join(ROOT, "examples", "earthquakes", "replay.py"))
    yield url
    process.kill()


@pytest.fixture(scope="module")
def people():
    code = "import sys, time; sys.path.insert(0, sys.argv[1]); import people; print(people.stand_in(), flush=True); time.sleep(3600)"
    process, url = served(sys.executable, "-c", code, os.path.join(ROOT, "examples", "users", "dags"))
    yield url
    process.kill()


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    """Tidemill with the tables and pipelines of both examples and no DAGs: these are Airflow's now."""
    project = str(tmp_path_factory.mktemp("door"))
    for example in ("earthquakes", "users"):
        for folder in ("tables", "pipelines"):
            shutil.copytree(os.path.join(ROOT, "examples", example, folder), os.path.join(project, folder), dirs_exist_ok=True)
    with Instance(project, TIDEMILL_LISTEN_KAFKA=DOOR + ":29092") as i:
        yield i


@pytest.fixture(scope="module")
def kafka():
    with own("kafka4") as address, forward(KAFKA, 29092, address):
        yield address


def exported(example, folder, broker, *args):
    """What Airflow is given: `broker`, the name that the DAGs use, leads to this address."""
    to = os.path.join(str(folder), "export")
    project = os.path.join(ROOT, "examples", example) if os.sep not in example else example
    run = subprocess.run([binary(), "dag", "export", to, "--project", project, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
                         env=dict(os.environ, TIDEMILL_LISTEN_KAFKA=broker + ":29092"))
    assert run.returncode == 0, run.stdout
    return to


def rows(i, table):
    return int(i.cql("SELECT count(*) FROM " + table)["rows"][0][0])


def test_dags_into_our_broker(airflow, door, tmp_path):
    to = exported("earthquakes", tmp_path / "e", DOOR)
    airflow.fresh(to)
    said = airflow.run(to, "dags", "test", "earthquakes", "2024-01-01")
    assert "sent %d events" % EVENTS in said, said[-3000:]
    door.wait(lambda: rows(door, "seismic.quakes") == EARTHQUAKES)
    before = rows(door, "spark_streams.created_users")
    airflow.run(exported("users", tmp_path / "u", DOOR), "dags", "test", "user_automation", "2024-01-01")
    door.wait(lambda: rows(door, "spark_streams.created_users") == before + USERS)


def test_dags_into_kafka(airflow, kafka, tmp_path):
    before = {t: len(records(kafka, t)) for t in ("earthquakes", "users_created")}
    for example, dag in (("earthquakes", "earthquakes"), ("users", "user_automation")):
        to = exported(example, tmp_path / example, KAFKA)
        airflow.fresh(to)
        airflow.run(to, "dags", "test", dag, "2024-01-02")
    quakes = records(kafka, "earthquakes")
    assert len(quakes) - before["earthquakes"] == EVENTS and all(json.loads(v)["id"].encode() == k for k, v in quakes)
    assert len(records(kafka, "users_created")) - before["users_created"] == USERS


def test_scheduler_runs_it_with_the_same_interval(airflow, door, tmp_path):
    """No run by hand: Airflow's scheduler finds the file, makes the run that is due and its task fills the topic."""
    to = exported("earthquakes", tmp_path, DOOR)
    topic = [t for t in door.get("/api/topics") if t["name"] == "earthquakes"]
    before = topic[0]["records"] if topic else 0
    airflow.fresh(to)
    airflow("start", to)
    try:
        door.wait(lambda: [t for t in door.get("/api/topics") if t["name"] == "earthquakes" and t["records"] == before + EVENTS], timeout=240)
        assert rows(door, "seismic.quakes") == EARTHQUAKES

        def finished():
            words = ["dags", "list-runs", *(["-d"] if airflow.version == "airflow2" else []), "earthquakes", "-o", "json"]
            said = airflow.run(to, *words)
            runs = json.loads(said[said.index("[{"):].splitlines()[0]) if "[{" in said else []  # log lines begin with [ too
            return [r for r in runs if r["run_id"].startswith("scheduled") and r["state"] == "success"]

        run = door.wait(finished, timeout=120)[0]
        # The interval of a file of Airflow 2: the run's logical date is where it begins, an hour before the run became due.
        logical = datetime.fromisoformat(run.get("logical_date") or run["execution_date"])
        assert timedelta(hours=1) <= datetime.now(timezone.utc) - logical < timedelta(hours=2, minutes=10), run
    finally:
        airflow("stop")


PROJECT = {
    "tidemill.yaml": """
variables: {region: Japan, settings: {depth: 3}, api_key: hunter2}
connections:
  quakes: http://feed.example:8080/base
  books: postgres://me:s3cr%21t@db.example:5432/books
""",
    "dags/ask.py": """
from datetime import datetime
from airflow import DAG
try:
    from airflow.providers.standard.operators.python import PythonOperator
except ImportError:
    from airflow.operators.python import PythonOperator
try:
    from airflow.sdk import Connection, Variable
except ImportError:
    from airflow.models import Connection, Variable

def ask(data_interval_start=None, data_interval_end=None):
    books = Connection.get("books") if hasattr(Connection, "get") else Connection.get_connection_from_secrets("books")
    quakes = Connection.get("quakes") if hasattr(Connection, "get") else Connection.get_connection_from_secrets("quakes")
    assert (books.host, books.port, books.password) == ("db.example", 5432, "s3cr!t"), books
    assert (quakes.conn_type, quakes.host, quakes.port, quakes.schema) == ("http", "feed.example", 8080, "base"), quakes
    assert Variable.get("region") == "Japan" and Variable.get("api_key") == "hunter2"
    assert Variable.get("settings", deserialize_json=True) == {"depth": 3}
    print("everything is there")

with DAG("ask", start_date=datetime(2024, 1, 1), schedule=None, catchup=False):
    PythonOperator(task_id="ask", python_callable=ask, pool="narrow")
""",
}


def test_connections_variables_and_pools_arrive(airflow, tmp_path):
    project = str(tmp_path / "p")
    for name, text in PROJECT.items():
        os.makedirs(os.path.dirname(os.path.join(project, name)), exist_ok=True)
        with open(os.path.join(project, name), "w") as f:
            f.write(text)
    to = exported(project, tmp_path, DOOR, "--secrets")
    airflow.run(to, "db", "migrate")
    for kind in ("connections", "variables", "pools"):
        airflow.run(to, kind, "import", os.path.join(to, kind + ".json"))
    assert "everything is there" in airflow.run(to, "dags", "test", "ask", "2024-01-01")
