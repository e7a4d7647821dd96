"""The sets airflow/example_dags_2 and _3: Airflow's own example DAGs, loaded by our look-alike, compared in every entry of their shape
with what Airflow serialised. The files come with Airflow's wheels, which are fetched once into a cache without their
dependencies (TIDEMILL_CACHE, else ~/.cache/tidemill)."""
import datetime
import gzip
import json
import os
import subprocess
import sys
import zipfile

import programs

PYTHON = os.path.join(programs.ROOT, "python")
WHEELS = {"2": ["apache-airflow==2.11.2"], "3": ["apache-airflow-core==3.3.2"]}
PROVIDERS = ["apache-airflow-providers-standard==1.20.0", "apache-airflow-providers-common-sql==2.2.0"]


def fetch(version):
    """The unpacked wheels' folder `airflow`; None without network."""
    cache = os.path.join(os.environ.get("TIDEMILL_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "tidemill"), "airflow-wheels-" + version)
    done = os.path.join(cache, "done")
    if not os.path.exists(done):
        os.makedirs(cache, exist_ok=True)
        # A Debian has no pip of its own, but its venv brings one.
        subprocess.run([sys.executable, "-m", "venv", os.path.join(cache, "venv")], check=True)
        got = subprocess.run([os.path.join(cache, "venv", "bin", "python"), "-m", "pip", "download", "-q", "--no-deps", "-d", cache, *WHEELS[version], *PROVIDERS], capture_output=True, text=True)
        if got.returncode:
            print(got.stderr[-500:], file=sys.stderr)
            return None
        for name in os.listdir(cache):
            if name.endswith(".whl"):
                with zipfile.ZipFile(os.path.join(cache, name)) as z:
                    z.extractall(os.path.join(cache, "src"), [n for n in z.namelist() if n.startswith("airflow/") and "/example_dags/" in "/" + n])
                os.unlink(os.path.join(cache, name))
        open(done, "w").close()
    return os.path.join(cache, "src", "airflow")


def shapes(folder, version, files):
    """Our shapes of the DAGs of files: each file in its own process."""
    jobs = json.dumps({"folder": folder, "version": int(version), "files": files})
    done = subprocess.run([sys.executable, "-m", "tidemill.shapes"], input=jobs, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": PYTHON}, check=False, timeout=300)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return json.loads(done.stdout)


# One example takes today's date for a default; the vectors were recorded on this day.
RECORDED = "2026-11-22"


def on_the_recorded_day(got):
    today = datetime.date.today()
    text = json.dumps(got)
    for day in (today, today - datetime.timedelta(days=1)):     # it may have been loaded before midnight
        text = text.replace(day.isoformat(), RECORDED)
    return json.loads(text)


def compare(got, want):
    """The entries that differ."""
    wrong = []
    for key, value in want.items():
        if key in ("file", "tasks"):
            continue
        if got.get(key) != value:
            wrong.append(f"{key}: {json.dumps(got.get(key))[:150]} instead of {json.dumps(value)[:150]}")
    mine = {t["task_id"]: t for t in got.get("tasks", [])}
    for t in want["tasks"]:
        g = mine.pop(t["task_id"], None)
        if g is None:
            wrong.append(f"no task {t['task_id']}")
            continue
        for key in t.keys() | g.keys():
            if g.get(key) != t.get(key):
                wrong.append(f"{t['task_id']}.{key}: {json.dumps(g.get(key))[:150]} instead of {json.dumps(t.get(key))[:150]}")
    wrong += [f"task {t} too many" for t in mine]
    return wrong


def run(files):
    areas, misses = {}, {}
    for path in files:
        with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as f:
            data = json.load(f)
        version = data["airflow"].split(".")[0]
        folder = fetch(version)
        if folder is None:
            raise SystemExit("the wheels of Airflow could not be fetched")
        ours = shapes(folder, version, sorted({d["file"] for d in data["dags"]}))
        for want in data["dags"]:
            area = areas.setdefault(f"example DAGs {data['airflow']}", [0, 0])
            area[1] += 1
            file = ours.get(want["file"], {})
            got = file.get("dags", {}).get(want["dag_id"])
            wrong = compare(on_the_recorded_day(got), want) if got else [file.get("error") or "not loaded"]
            if wrong:
                misses[f"{data['airflow']} {want['file']} {want['dag_id']}"] = "; ".join(wrong[:6])
            else:
                area[0] += 1
    return areas, misses
