#!/usr/bin/env python3
"""Speed of the DAG engine beside section 8 of the design: chains of 40 tasks, 100 parallel tasks, schedule latency, memory.
usage: bench/dag_bench.py [--build DIR] [--json]    times are those the engine writes down (run start to run end), best and median of 5"""
import argparse
import datetime as dt
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HEAD = "from datetime import datetime, timedelta\nfrom airflow import DAG\nfrom airflow.operators.python import PythonOperator\nfrom airflow.operators.bash import BashOperator\n"
CHAIN = HEAD + ("with DAG('bench', start_date=datetime(2024, 1, 1), schedule='@once'):\n    before = None\n    for i in range(40):\n        now = {op}\n        if before is not None:\n"
                "            before >> now\n        before = now\n")
PARALLEL = HEAD + ("with DAG('bench', start_date=datetime(2024, 1, 1), schedule='@once', max_active_tasks=100):\n    for i in range(100):\n        {op}\n")
PYTHON = "PythonOperator(task_id=f't{i}', python_callable=lambda: None)"
SHELL = "BashOperator(task_id=f't{i}', bash_command='true')"
TICKS = HEAD + "with DAG('bench', start_date=datetime(2024, 1, 1), schedule='* * * * * *', catchup=False, max_active_runs=4):\n    BashOperator(task_id='t', bash_command='true')\n"
CASES = [("chain of 40 Python tasks", CHAIN.replace("{op}", PYTHON), 0.4, "Airflow 3.3.2: 45.9 s (tuned 19.6)"), ("chain of 40 shell tasks", CHAIN.replace("{op}", SHELL), 0.1, "43.8 s (16.5)"),
         ("100 parallel Python tasks", PARALLEL.replace("{op}", PYTHON), 0.6, "35-41 s"), ("100 parallel shell tasks", PARALLEL.replace("{op}", SHELL), None, "20-43 s")]


def one(program, text):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "bench.py"), "w") as f:
            f.write(text)
        done = subprocess.run([program, folder], capture_output=True, text=True, timeout=120)
        (run,) = json.loads(done.stdout)["dags"]["bench"]["runs"]
        assert run["state"] == "success", run
        at = [dt.datetime.fromisoformat(run[k]) for k in ("start_date", "end_date")]
        return (at[1] - at[0]).total_seconds()


def latency(program, seconds):
    """From the tick of a schedule to the start of its task; and the memory of the scheduler meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "dags"))
        with open(os.path.join(folder, "dags", "bench.py"), "w") as f:
            f.write(TICKS)
        p = subprocess.Popen([program, os.path.join(folder, "dags"), "--data", os.path.join(folder, "data"), "--serve"], stdout=subprocess.DEVNULL)
        time.sleep(seconds)
        with open(f"/proc/{p.pid}/status") as f:
            memory = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
        p.terminate()
        p.wait()
        db = sqlite3.connect(os.path.join(folder, "data", "dag.db"))
        rows = db.execute("SELECT ti.start_us - run.run_after_us FROM ti JOIN run ON run.id = ti.run WHERE ti.state='success' ORDER BY run.id").fetchall()
        late = sorted(r[0] / 1000 for r in rows[1:])  # the first was due before we were up
        return late, memory


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--build", default="build")
    args.add_argument("--json", action="store_true")
    args.add_argument("--seconds", type=int, default=15)
    args = args.parse_args()
    program = os.path.join(ROOT, args.build, "tests", "dag_run")
    if not os.path.exists(program):
        sys.exit(f"{program} is not built: ninja -C {args.build} dag_run")
    out = {}
    for name, text, line, other in CASES:
        times = [one(program, text) for _ in range(5)]
        out[name] = {"best_s": min(times), "median_s": statistics.median(times), "line_s": line, "airflow": other}
    late, memory = latency(program, args.seconds)
    out["schedule latency"] = {"p50_ms": statistics.median(late), "p99_ms": late[min(len(late) - 1, int(len(late) * 0.99))], "ticks": len(late), "line_ms": 20}
    out["scheduler memory"] = {"rss_mb": memory / 1024, "line_mb": 20}
    if args.json:
        print(json.dumps(out))
        return
    for name, v in out.items():
        print(f"{name}: " + ", ".join(f"{k} {x:.3f}" if isinstance(x, float) else f"{k} {x}" for k, x in v.items() if x is not None))


if __name__ == "__main__":
    main()
