"""`tidemill dag export`: what Airflow is given beside the DAG files, and what is kept from others' eyes."""
import json
import os
import stat
import sys

sys.path.insert(0, os.path.dirname(__file__))
from instance import Instance, command, up_until_idle  # noqa: E402

DAG = """
import os
from airflow import DAG
from airflow.models import Variable
from airflow.operators.python import PythonOperator
from airflow.providers.http.hooks.http import HttpHook
from helpers.where import place

def work():
    import yaml
    from kafka import KafkaProducer
    from cassandra.cluster import Cluster
    Variable.set("seen", os.environ.get("FEED_URL", "none"))
    KafkaProducer(bootstrap_servers="kafka:29092,other.example:9092")

with DAG("one", schedule=None):
    PythonOperator(task_id="work", python_callable=work, pool="narrow")
"""
SETTER = """
from datetime import datetime
from airflow import DAG
from airflow.decorators import task
from airflow.models import Variable

with DAG("setter", schedule="@once", start_date=datetime(2024, 1, 1), catchup=False) as dag:
    @task
    def put():
        Variable.set("seen", "by a task")
    put()
"""
YAML = """
variables:
  region: Japan
  api_key: hunter2
  settings: {depth: 3}
connections:
  quakes: http://feed.example:8080/base
  books: postgres://me:s3cr%21t@db.example:5432/books
  maps: {conn_type: http, host: maps.example, extra: {api_key: "it's mine"}}
"""


def project(folder, **files):
    for name, text in {"dags/one.py": DAG, "dags/helpers/where.py": "import requests\nplace = 'here'\n", "tidemill.yaml": YAML, **files}.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
    return folder


def read(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as f:
        return f.read()


def test_files_beside_the_dags(tmp_path):
    p = project(str(tmp_path / "p"))
    run = command("dag", "export", "--json", project=p)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    to = os.path.join(p, "airflow")
    assert told["directory"] == to and told["dags"] == ["one"]
    assert json.loads(read(to, "connections.json")) == {"quakes": {"conn_type": "http", "host": "feed.example", "port": 8080, "schema": "base"}}
    assert json.loads(read(to, "variables.json")) == {"region": "Japan", "settings": '{"depth":3}'}
    assert json.loads(read(to, "pools.json"))["narrow"]["slots"] == 128
    lines = [line.split("==")[0] for line in read(to, "requirements.txt").split()]
    assert lines == ["apache-airflow-providers-http", "cassandra-driver", "kafka-python", "PyYAML", "requests"]
    assert "requests\n" in read(to, "requirements.txt")  # Airflow chooses its version
    env = read(to, "airflow.env")
    assert "AIRFLOW__CORE__DAGS_FOLDER=%s/dags\n" % p in env and "FEED_URL" in env and "CREATE_CRON_DATA_INTERVALS=True" in env
    assert read(to, "hosts").splitlines()[1:] == ["127.0.0.1 kafka"]
    assert any("kafka:29092" in w for w in told["warnings"])
    assert sorted(c.split()[1] for c in told["import"]) == ["connections", "pools", "variables"]


def test_secrets_stay_secret(tmp_path):
    p = project(str(tmp_path / "p"))
    to = str(tmp_path / "out")
    for args in ([], ["--secrets"], []):
        run = command("dag", "export", to, *args, project=p)
        assert run.returncode == 0, run.stderr
        for secret in ("hunter2", "s3cr", "it's mine"):
            assert secret not in run.stdout + run.stderr
            for name in os.listdir(to):
                assert (secret.replace("'", "'\\''") in read(to, name)) == (args == ["--secrets"] and name == "secrets.env"), (secret, name)
        assert stat.S_IMODE(os.stat(os.path.join(to, "secrets.env")).st_mode) == 0o600
        for name in ("AIRFLOW_CONN_BOOKS", "AIRFLOW_CONN_MAPS", "AIRFLOW_VAR_API_KEY"):
            assert name in read(to, "secrets.env")
        assert read(to, ".gitignore") == "secrets.env\n"


def test_a_shell_reads_the_secrets_back(tmp_path):
    import subprocess
    p, to = project(str(tmp_path / "p")), str(tmp_path / "out")
    assert command("dag", "export", to, "--secrets", project=p).returncode == 0
    out = subprocess.run(["sh", "-c", 'set -a; . "$0"; exec env', os.path.join(to, "secrets.env")], stdout=subprocess.PIPE, universal_newlines=True).stdout
    values = dict(line.split("=", 1) for line in out.splitlines() if line.startswith("AIRFLOW_"))
    assert json.loads(values["AIRFLOW_CONN_BOOKS"])["password"] == "s3cr!t"
    assert json.loads(json.loads(values["AIRFLOW_CONN_MAPS"])["extra"]) == {"api_key": "it's mine"}
    assert values["AIRFLOW_VAR_API_KEY"] == "hunter2"


def test_variables_that_tasks_have_set(tmp_path):
    p = project(str(tmp_path / "p"), **{"dags/setter.py": SETTER})
    os.makedirs(str(tmp_path / "data"))
    with Instance(p, data=str(tmp_path / "data")) as i:
        i.wait(lambda: [d for d in i.get("/api/dags") if d["dag_id"] == "setter" and (d.get("last_run") or {}).get("state") == "success"])
        run = command("dag", "export", str(tmp_path / "out"), project=p, data=i.data)
        assert run.returncode == 0, run.stderr
    assert json.loads(read(str(tmp_path / "out"), "variables.json"))["seen"] == "by a task"


def test_a_broken_file_is_told(tmp_path):
    p = project(str(tmp_path / "p"), **{"dags/two.py": "from airflow import DAG\nDAG(\n"})
    run = command("dag", "export", project=p)
    assert run.returncode != 0 and "two.py" in run.stderr and not os.path.exists(os.path.join(p, "airflow"))
    os.makedirs(str(tmp_path / "empty"))
    run = command("dag", "export", project=str(tmp_path / "empty"))
    assert run.returncode != 0 and "no DAG file" in run.stderr


def test_airflow_runs_the_dags_then(tmp_path):
    """orchestrator: airflow: the files are checked and exported, and not run here."""
    p = project(str(tmp_path / "p"), **{"dags/setter.py": SETTER, "tidemill.yaml": YAML + "orchestrator: airflow\n"})
    summary, status = up_until_idle(p, str(tmp_path / "data"))
    assert status == 0 and not summary.get("dags") and not os.path.exists(str(tmp_path / "data" / "dag.db")), summary
    run = command("up", p, "--until-idle", "--trigger", "setter", data=str(tmp_path / "data"))
    assert run.returncode != 0 and "orchestrator: airflow" in run.stderr
    assert command("dag", "export", project=p).returncode == 0
    run = command("check", p, data=str(tmp_path / "data"))
    assert run.returncode == 0, run.stdout
    with open(os.path.join(p, "tidemill.yaml"), "a") as f:
        f.write("orchestrator: airlfow\n")
    run = command("check", p, data=str(tmp_path / "data"))
    assert run.returncode != 0 and "neither embedded nor airflow" in run.stdout, run.stdout
