"""DAG files run by the program dag_run: what becomes of every task, broken files, and kill -9 in the middle."""
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "vectors"))
import programs  # noqa: E402


def dag_run(*args, timeout=60, **env):
    done = subprocess.run([programs.program("dag_run"), *map(str, args)], capture_output=True, text=True, timeout=timeout, env={**os.environ, **env})
    try:
        return json.loads(done.stdout), done
    except ValueError:
        pytest.fail(f"dag_run ended with {done.returncode}: {done.stderr[-2000:]}")


def states(answer, dag_id):
    (run,) = answer["dags"][dag_id]["runs"]
    return run["state"], {t["task_id"] + (f"[{t['map_index']}]" if t["map_index"] >= 0 else ""): t["state"] for t in run["tasks"]}


@pytest.fixture(scope="module")
def behaviour(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    answer, _ = dag_run(os.path.join(HERE, "dags"), "--data", data, POKE_COUNT=str(data / "pokes"))
    answer["data"] = str(data)
    return answer


EXPECTED = {
    "branch": ("success", {"b": "success", "x": "success", "y": "skipped", "join": "success"}),
    "short": ("success", {"s": "success", "a": "skipped", "b": "skipped"}),
    "retry": ("success", {"f": "success", "sh": "success"}),
    "fail": ("failed", {"bad": "failed", "skip": "skipped", "sh99": "skipped", "sh1": "failed", "onfail": "success", "after_bad": "upstream_failed", "after_skip": "skipped"}),
    "flow": ("success", {"nums": "success", "stat": "success", "collect": "success", "show": "success", **{f"{t}[{i}]": "success" for t in ("double", "grp.one", "grp.two") for i in range(3)}}),
    "sense": ("success", {"never": "skipped", "resch": "success", "t": "success"}),
    "timeout": ("failed", {"slow": "failed", "slowsh": "failed"}),
    "runtimeout": ("failed", {"slow": "skipped"}),
    "ctl": ("success", {"go": "success"}),
    "target": ("success", {"t": "success"}),
    "st": ("failed", {"s": "success", "w": "failed", "t": "success"}),
}


@pytest.mark.parametrize("dag_id", EXPECTED)
def test_states(behaviour, dag_id):
    assert behaviour["errors"] == []
    assert states(behaviour, dag_id) == EXPECTED[dag_id]


def test_logs_and_xcoms(behaviour):
    logs = os.path.join(behaviour["data"], "logs")
    with open(os.path.join(logs, "dag_id=flow", "run_id=scheduled__2024-01-01T00:00:00+00:00", "task_id=show", "attempt=1.log")) as f:
        assert "INFO - TOTAL 120 3" in f.read()
    folder = os.path.join(logs, "dag_id=retry", "run_id=scheduled__2024-01-01T00:00:00+00:00", "task_id=f")
    assert sorted(os.listdir(folder)) == ["attempt=1.log", "attempt=2.log", "attempt=3.log"]
    with open(os.path.join(folder, "attempt=1.log")) as f:
        assert "ValueError: no" in f.read()
    db = sqlite3.connect(os.path.join(behaviour["data"], "dag.db"))
    assert db.execute("SELECT value FROM xcom JOIN run ON run.id = xcom.run WHERE dag_id='target' AND key='return_value'").fetchone() == ('"2024-01-01"',)


BROKEN = {
    "syntax.py": ("from airflow import DAG\nwith DAG('x' as dag:\n    pass\n", 2, "SyntaxError", ""),
    "missing.py": ("from airflow import DAG\nimport no_such_package_xyz\n", 2, "ModuleNotFoundError", "pip install no_such_package_xyz"),
    "plugin.py": ("from airflow import DAG\nfrom operators.mine import MyOperator\n", 2, "ModuleNotFoundError", "plugins"),
    "ours.py": ("from airflow import DAG\nfrom airflow.nowhere import x\n", 2, "ModuleNotFoundError", "airflow.nowhere"),
    "twice.py": ("from airflow import DAG\nfrom airflow.operators.empty import EmptyOperator\nwith DAG('t'):\n    EmptyOperator(task_id='a')\n    EmptyOperator(task_id='a')\n", 5, "DuplicateTaskIdFound", "task_id"),
    "cycle.py": ("from airflow import DAG\nfrom airflow.operators.empty import EmptyOperator\nwith DAG('c'):\n    a, b = EmptyOperator(task_id='a'), EmptyOperator(task_id='b')\n    a >> b >> a\n", 3,
                 "AirflowDagCycleException", ""),
    "cron.py": ("from airflow import DAG\nfrom airflow.operators.empty import EmptyOperator\nwith DAG('cr', schedule='61 * * * *'):\n    EmptyOperator(task_id='a')\n", 3, "out of range", ""),
}


def test_check_names_the_place(tmp_path):
    for name, (text, *_) in BROKEN.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "good.py").write_text("from airflow import DAG\nfrom airflow.providers.snowflake.operators.snowflake import SnowflakeOperator\n"
                                      "with DAG('good'):\n    SnowflakeOperator(task_id='q', sql='select 1', snowflake_conn_id='s')\n")
    answer, done = dag_run(tmp_path, "--check")
    assert done.returncode == 1
    by_file = {os.path.basename(p["file"]): p for p in answer["problems"]}
    assert set(by_file) == set(BROKEN)
    for name, (_, line, what, hint) in BROKEN.items():
        assert by_file[name]["line"] == line, by_file[name]
        assert what in by_file[name]["what"] and hint in by_file[name]["hint"], by_file[name]


def test_old_modules_load(tmp_path):
    (tmp_path / "old.py").write_text("from airflow import DAG\nfrom airflow.utils.helpers import as_flattened_list\nfrom airflow.lineage.datasets import File\nfrom datetime import datetime\n"
                                     "from airflow.operators.dummy_operator import DummyOperator\n"
                                     "with DAG('old', start_date=datetime(2024, 1, 1), schedule_interval='@once'):\n"
                                     "    for n in as_flattened_list(['a', ['b', ('c',)]]):\n        DummyOperator(task_id=n, outlets={'datasets': [File('/tmp/x')]})\n")
    answer, _ = dag_run(tmp_path)
    assert states(answer, "old") == ("success", {"a": "success", "b": "success", "c": "success"})


def test_unknown_provider_fails_only_when_it_runs(tmp_path):
    (tmp_path / "p.py").write_text("from airflow import DAG\nfrom airflow.contrib.operators.spark_submit_operator import SparkSubmitOperator\nfrom airflow.operators.empty import EmptyOperator\n"
                                   "from datetime import datetime\nwith DAG('p', start_date=datetime(2024, 1, 1), schedule_interval='@once'):\n"
                                   "    EmptyOperator(task_id='a') >> SparkSubmitOperator(task_id='s', application='x.py')\n")
    answer, _ = dag_run(tmp_path)
    assert states(answer, "p") == ("failed", {"a": "success", "s": "failed"})
    assert answer["dags"]["p"]["dialect"] == "1.10"


# ---- kill -9 ----
CRASH = '''
from datetime import datetime
import os, time
from airflow import DAG
from airflow.operators.python import PythonOperator
from airflow.operators.bash import BashOperator
OUT = os.environ["CRASH_OUT"]

def work(ti):
    time.sleep(0.01)
    with open(OUT, "a") as f:
        f.write(f"{ti.task_id} {ti.try_number}\\n")
    return ti.task_id

with DAG("crash", start_date=datetime(2024, 1, 1), schedule="@once") as dag:
    before = []
    for layer in range(6):
        now = [PythonOperator(task_id=f"p{layer}_{i}", python_callable=work) for i in range(4)] + [BashOperator(task_id=f"b{layer}", bash_command=f"sleep 0.02; echo b{layer} 0 >> {OUT}")]
        for b in before:
            b >> now
        before = now
'''


def reported(data):
    """{task: try} of what had told its end: on disk, or noted by the worker."""
    db = sqlite3.connect(os.path.join(data, "dag.db"))
    out = {t: n for t, n in db.execute("SELECT task_id, try_number FROM ti WHERE state='success'")}
    running = {f"{r}/{t}/{m}/{n}": (t, n) for r, t, m, n in db.execute("SELECT run, task_id, map_index, try_number FROM ti WHERE state='running'")}
    db.close()
    with open(os.path.join(data, "dag.journal"), "rb") as f:
        for line in f.read().split(b"\n")[:-1]:
            end = json.loads(line)
            if end["key"] in running and end["state"] == "success":
                out[running[end["key"]][0]] = running[end["key"]][1]
    return out


def test_kill_nine(tmp_path):
    rounds = int(os.environ.get("TM_KILLS", "20"))
    random.seed(rounds)
    dags, done_file = tmp_path / "dags", tmp_path / "out"
    dags.mkdir()
    (dags / "crash.py").write_text(CRASH)
    env = {**os.environ, "CRASH_OUT": str(done_file)}
    kills = turn = 0
    while kills < rounds:
        turn += 1
        data = tmp_path / f"data{turn}"  # a run of its own, also where the kill before came too late
        done_file.write_text("")
        seen = {}
        for _ in range(3):
            p = subprocess.Popen([programs.program("dag_run"), str(dags), "--data", str(data)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(random.uniform(0.05, 0.35))
            if p.poll() is not None:
                break
            p.send_signal(signal.SIGKILL)
            p.wait()
            kills += 1
            time.sleep(0.05)
            if os.path.exists(data / "dag.journal"):
                now = reported(str(data))
                for task, n in seen.items():
                    assert now.get(task) == n, f"{task} had reported the end of try {n} and ran again"
                seen = now
        answer, _ = dag_run(dags, "--data", data, CRASH_OUT=str(done_file))
        db = sqlite3.connect(data / "dag.db")
        final = {t: (s, n) for t, s, n in db.execute("SELECT task_id, state, try_number FROM ti")}
        assert len(final) == 30 and all(s == "success" for s, _ in final.values()), final
        for task, n in seen.items():
            assert final[task][1] == n, f"{task} had reported the end of try {n} and ran again"
        assert db.execute("SELECT state FROM run").fetchall() == [("success",)]
        db.close()
    left = subprocess.run(["grep", "-lza", f"TIDEMILL_TASK_OWNER={tmp_path}", *[f"/proc/{p}/environ" for p in os.listdir("/proc") if p.isdigit()]], capture_output=True, text=True)
    assert left.stdout == "", "processes are left over"
    print(f"{kills} kills, no task lost, none that had reported its end ran again")


# ---- the project's configuration in tasks ----
CONFIGURED = '''
from datetime import datetime
import threading, time
from airflow import DAG
from airflow.hooks.base import BaseHook
from airflow.models import Variable
from airflow.operators.python import PythonOperator

def use():
    import urllib.request
    connection = BaseHook.get_connection("pg")
    before = Variable.get("v")
    Variable.set("v", "new")
    return [urllib.request.urlopen("http://api.example:1234/", timeout=5).status, before, Variable.get("v"), Variable.get("j", deserialize_json=True)["a"], Variable.get("nope", default_var="d"),
            connection.host, connection.port, connection.password, connection.extra_dejson]

with DAG("configured", start_date=datetime(2024, 1, 1), schedule_interval="@once", default_args={"provide_context": True, "catchup": False}):
    PythonOperator(task_id="use", python_callable=use)
THREAD
'''


@pytest.mark.parametrize("thread", ["", "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"])
def test_variables_connections_and_hosts(tmp_path, thread):
    """Also from a file that starts a thread, whose tasks are not forked from the process that loaded it."""
    import http.server
    import threading
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *a: None}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "c.py").write_text(CONFIGURED.replace("THREAD", thread))
    answer, _ = dag_run(dags, "--data", tmp_path / "data", "--route", f"api.example:1234=127.0.0.1:{server.server_port}", "--variable", "v=1", "--variable", 'j={"a": 5}',
                        AIRFLOW_CONN_PG="postgresql://u:p%40ss@db:5432/sch?sslmode=require")
    server.shutdown()
    assert states(answer, "configured") == ("success", {"use": "success"}), answer
    db = sqlite3.connect(tmp_path / "data" / "dag.db")
    assert json.loads(db.execute("SELECT value FROM xcom WHERE key='return_value'").fetchone()[0]) == [200, "1", "new", 5, "d", "db", 5432, "p@ss", {"sslmode": "require"}]


@pytest.mark.parametrize("when", ["after", "while"])
def test_changed_files_are_loaded_again(tmp_path, when):
    """A module that the DAG file imports is changed after the file was loaded, or while it is."""
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "helper.py").write_text("NAME = 'one'\n")
    (dags / "x.py").write_text("from airflow import DAG\nfrom airflow.operators.empty import EmptyOperator\nfrom datetime import datetime\nimport helper\n"
                               "with DAG('w_' + helper.NAME, start_date=datetime(2024, 1, 1), schedule='@once'):\n    EmptyOperator(task_id='t')\n" +
                               ("if helper.NAME == 'one':\n    open(helper.__file__, 'w').write(\"NAME = 'two'\\n\")\n" if when == "while" else ""))
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    p = subprocess.Popen([programs.program("dag_run"), str(dags), "--data", str(tmp_path / "data"), "--serve"], stdout=subprocess.DEVNULL, env=env)

    def wait_for(*names):
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                db = sqlite3.connect(tmp_path / "data" / "dag.db")
                if {r[0] for r in db.execute("SELECT dag_id FROM run WHERE state='success'")} >= set(names):
                    return True
            except sqlite3.Error:
                pass
            time.sleep(0.05)
        return False

    try:
        if when == "after":
            assert wait_for("w_one")
            # Within the same second and as long: Python's own cache of compiled modules would take it for the old one.
            second = os.stat(dags / "helper.py").st_mtime_ns // 10**9 * 10**9
            (dags / "helper.py").write_text("NAME = 'two'\n")
            os.utime(dags / "helper.py", ns=(second + 999_000_000, second + 999_000_000))
        assert wait_for("w_two")
        (dags / "y.py").write_text((dags / "x.py").read_text().replace("'w_'", "'y_'"))
        assert wait_for("y_two")
    finally:
        p.kill()
        p.wait()
