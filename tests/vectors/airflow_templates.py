"""The set airflow/templates: every template rendered inside a task of a real run of ours (program dag_run), compared with what
Airflow rendered. The clock on the wall, host names and memory addresses are those of the recording: only their shape counts."""
import ast
import gzip
import json
import os
import re
import shutil
import subprocess
import tempfile

import programs

DAG_FILE = '''
import json, os
from datetime import datetime
import pendulum
from airflow import DAG
from airflow.models import BaseOperator
from airflow.models.param import Param
from airflow.operators.python import PythonOperator
from airflow.operators.empty import EmptyOperator

ZONE = pendulum.timezone("Europe/Vienna")
OUT = os.environ["TEMPLATES_OUT"]
with open(os.environ["TEMPLATES_IN"], encoding="utf-8") as f:
    TEMPLATES = json.load(f)


def first_value(ti):
    ti.xcom_push(key="k2", value=[1, "zwei", None])
    return {"n": 42, "s": "t\\u00e4xt"}


class Dump(BaseOperator):
    template_fields = ("cmd", "env", "lst", "tup", "num", "nested", "none")

    def __init__(self, nold=False, **kwargs):
        super().__init__(**kwargs)
        day = "run_id" if nold else "ds"
        self.cmd = "echo {{ %s }}" % day + ("" if nold else " {{ params.p1 }}")
        self.env = {"A": "{{ %s }}" % day, "{{ %s }}" % day: "key", "n": 5}
        self.lst = ["{{ %s }}" % ("run_id" if nold else "ds_nodash"), 3, None, ["{{ run_id }}"]]
        if nold:
            self.env, self.lst = {"A": "{{ run_id }}"}, ["{{ run_id }}"]
        self.tup = ("{{ %s }}" % day, "t")
        self.num, self.nested, self.none = 17, {"a": [{"b": "{{ params.name }}"}]}, None

    def execute(self, context):
        out = {"context_types": {k: type(context[k]).__name__ for k in context}, "rendered": [], "run_id": context["run_id"]}
        for text in TEMPLATES:
            try:
                value = self.render_template(text, context)
                row = {"template": text, "rendered": value if isinstance(value, str) else repr(value)}
                if not isinstance(value, str):
                    row["type"] = type(value).__name__
            except Exception as e:
                row = {"template": text, "error": [type(e).__name__, str(e)]}
            out["rendered"].append(row)
        out["fields"] = {"cmd": self.cmd, "env": self.env, "lst": self.lst, "tup": list(self.tup), "tup_type": type(self.tup).__name__, "num": self.num, "nested": self.nested}
        with open(os.path.join(OUT, self.dag.dag_id + "__" + context["run_id"].replace("/", "_") + ".json"), "w", encoding="utf-8") as f:
            json.dump(out, f, default=repr)


COMMON = dict(start_date=datetime(2026, 3, 27, tzinfo=ZONE), params={"p1": 5, "name": "x", "typed": Param(3)}, tags=["a", "b"], default_args={"owner": "ann", "retries": 2, "retry_delay": 0.1},
              user_defined_macros={"hello": lambda n: "hi " + n, "const": 7}, user_defined_filters={"shout": lambda s: s.upper() + "!"})


def fill(dag):
    with dag:
        PythonOperator(task_id="first", python_callable=first_value) >> Dump(task_id="dump", nold=dag.dag_id == "tmpl_nold") >> EmptyOperator(task_id="last")


cron = DAG("tmpl_cron", schedule="0 6 * * *", catchup=True, end_date=datetime(2026, 3, 30, 12, tzinfo=ZONE), max_active_runs=1, **COMMON)
manual = DAG("tmpl_manual", schedule=None, catchup=False, **COMMON)
native = DAG("tmpl_native", schedule=None, catchup=False, render_template_as_native_obj=True, **{**COMMON, "start_date": datetime(2026, 3, 27)})
nold = DAG("tmpl_nold", schedule=None, catchup=False, **COMMON)
for d in (cron, manual, native, nold):
    fill(d)
'''
RUNS = [("tmpl_manual", "m_conf", "2026-04-04T23:02:03.456789+00:00", {"k": "v", "p1": 9, "name": "fromconf"}), ("tmpl_manual", "m_second", "2026-04-07T00:00:00+00:00", {}),
        ("tmpl_native", "n_1", "2026-04-06T00:00:00+00:00", {"k": [1]}), ("tmpl_nold", "m_nold", None, {"k": "v"})]
CONNECTION = '{"conn_type": "http", "host": "host.example", "port": 8080, "login": "ann", "password": "p w", "schema": "sch", "extra": "{\\"x\\": 1}"}'


def record(version, templates):
    """{(dag_id, run_id): what our task wrote}."""
    import datetime
    work = tempfile.mkdtemp()
    try:
        os.mkdir(os.path.join(work, "dags"))
        os.mkdir(os.path.join(work, "out"))
        with open(os.path.join(work, "dags", "tmpl.py"), "w", encoding="utf-8") as f:
            f.write(DAG_FILE)
        with open(os.path.join(work, "in.json"), "w", encoding="utf-8") as f:
            json.dump(templates, f)
        env = {**os.environ, "TEMPLATES_OUT": os.path.join(work, "out"), "TEMPLATES_IN": os.path.join(work, "in.json")}
        for dag_id, run_id, logical, conf in RUNS:
            # Airflow 2 has no run without a logical date: it is now.
            us = ("none" if version == 3 else "0") if logical is None else str(round(datetime.datetime.fromisoformat(logical).timestamp() * 1e6))
            subprocess.run([programs.program("dag_run"), os.path.join(work, "dags"), "--data", os.path.join(work, "data"), "--version", str(version), "--trigger", dag_id, "--run-id", run_id,
                            "--logical", us, "--conf", json.dumps(conf), "--variable", "var_a=value a", "--variable", 'var_j={"a": {"b": [1, 2]}}', "--connection", "my_conn=" + CONNECTION],
                           env=env, check=False, stdout=subprocess.DEVNULL, timeout=60)
        out = {}
        for name in os.listdir(os.path.join(work, "out")):
            with open(os.path.join(work, "out", name), encoding="utf-8") as f:
                got = json.load(f)
            out[(name.split("__")[0], got["run_id"])] = got
        return out, os.path.join(work, "dags")
    finally:
        shutil.rmtree(work, ignore_errors=True)


WALL = re.compile(r"20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d{6}(\+00:00)?")


def normal(text, folder):
    """Without what no two machines share."""
    text = text.replace(folder, "$DAGS_FOLDER")
    text = re.sub(r"0x[0-9a-f]+", "0x0", text)
    return re.sub(r" at 0x0(?=>)", "", text)


def same(template, got, want, folder, any_day=False):
    if any_day and "rendered" in got and "rendered" in want:
        texts = [re.sub(r"\d+", "9", normal(v["rendered"], folder)) for v in (got, want)]
        return texts[0] == texts[1] or same(template, got, want, folder)
    if "error" in want or "error" in got:
        if want.get("error") == got.get("error"):
            return True
        if "error" not in want or "error" not in got or want["error"][0] != got["error"][0]:
            return False
        # jinja names the class of the object; ours has another module
        strip = [re.sub(r"'[\w.]+ object' has no attribute", "'object' has no attribute", e["error"][1]) for e in (got, want)]
        return strip[0] == strip[1]
    a, b = normal(got["rendered"], folder), normal(want["rendered"], folder)
    if re.search(r"start_date|end_date|queued_at|run_after", template) and b.startswith("datetime.datetime(20"):
        return re.sub(r"\d+", "9", a) == re.sub(r"\d+", "9", b)
    if a == b:
        return True
    if template == "{{ ti.hostname }}":
        return a == os.uname().nodename
    if "log_url" in template:
        return a.split("/dags/")[-1] == b.split("/dags/")[-1]
    if re.search(r"start_date|end_date|queued_at|run_after", template) and WALL.fullmatch(b):
        return bool(WALL.fullmatch(a))
    try:  # sets have no order
        x, y = ast.literal_eval(a), ast.literal_eval(b)
        return type(x) is type(y) and "tags" in template and sorted(x) == sorted(y)
    except (ValueError, SyntaxError):
        return False


def run(files):
    areas, misses = {}, {}

    def score(area, name, right, why):
        entry = areas.setdefault(area, [0, 0])
        entry[1] += 1
        entry[0] += bool(right)
        if not right:
            misses[name] = why

    for path in files:
        with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as f:
            data = json.load(f)
        for version, key in ((2, "airflow_2_11_2"), (3, "airflow_3_3_2")):
            if key not in data:
                continue
            templates = [t["template"] for t in data[key][0]["rendered"]]
            ours, folder = record(version, templates)
            for want in data[key]:
                name = f"{key} {want['dag_id']} {want['run_id']}"
                got = ours.get((want["dag_id"], want["run_id"]))
                by_template = {t["template"]: t for t in got["rendered"]} if got else {}
                for t in want["rendered"]:
                    mine = by_template.get(t["template"], {"error": ["missing", "the run did not happen"]})
                    score(f"templates {key}", f"{name} {t['template']!r}", same(t["template"], mine, t, folder, version == 2 and want["dag_id"] == "tmpl_nold"),
                          f"{mine.get('rendered', mine.get('error'))!r} instead of {t.get('rendered', t.get('error'))!r}")
                score(f"fields {key}", f"{name} fields", got and got["fields"] == want["fields"], f"{got and got['fields']} instead of {want['fields']}")
                keys = set(got["context_types"]) if got else set()
                score(f"context {key}", f"{name} context", keys >= set(want["context_types"]), f"without {sorted(set(want['context_types']) - keys)}")
    return areas, misses
