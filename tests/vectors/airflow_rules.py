"""Airflow's decisions that need no Python: cron, timetables, trigger rules, retry delays. The work is done by the program
dag_rules (tests/programs/dag_rules.c): one question a line, one answer a line. Each run_* gives (areas, misses) as
tests/vectors/run expects: areas {name: [right, total]}, misses {case name: why}."""
import gzip
import json
import subprocess

import programs


def load(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as f:
        return json.load(f)


def ask(questions):
    done = subprocess.run([programs.program("dag_rules")], input="".join(json.dumps(q) + "\n" for q in questions), capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


class Score:
    def __init__(self):
        self.areas, self.misses = {}, {}

    def add(self, area, name, right, why="another decision"):
        score = self.areas.setdefault(area, [0, 0])
        score[1] += 1
        score[0] += bool(right)
        if not right:
            self.misses[name] = why


def random_shape(got, want, row):
    """A field `R` is drawn anew by each croniter: only the distance of the ticks can be compared."""
    def gaps(texts):
        import datetime
        times = [datetime.datetime.fromisoformat(t) for t in texts]
        return [b - a for a, b in zip(times, times[1:])]
    return gaps(got["next"]) == gaps(want) and got["next"][0] > row["from"]


def run_cron(files):
    score = Score()
    for path in files:
        cases, questions, where = load(path)["cases"], [], []
        for case in cases:
            for row in case.get("rows") or [None]:
                questions.append({"ask": "cron", "expr": case["expr"], "from": row and row["from"], "n": 5})
                where.append((case, row))
        for (case, row), got in zip(where, ask(questions)):
            name = f"cron {case['expr']!r} {row['from'] if row else ''}".strip()
            if row is None:
                score.add("cron errors", name, got.get("error") == case["error"])
                continue
            fields = case["expr"].split()
            if any(f[:1] in "rR" for f in fields):
                right = "next" in got and random_shape(got, row["next"], row)
            else:
                right = all(got.get(k) == row.get(k) for k in ("next", "prev", "next_error", "prev_error"))
            score.add("cron", name, right)
    return score.areas, score.misses


def run_timetables(files):
    score = Score()
    for path in files:
        questions, where = [], []
        for case in load(path)["cases"]:
            for version, key in ((2, "airflow_2_11_2"), (3, "airflow_3_3_2")):
                want = case.get(key)
                if not want or "error" in want:
                    continue  # what a version does not have at all is no decision of it
                spec = {"kind": case["kind"], "schedule": case["schedule"], "timezone": case["timezone"], "version": version, **case["args"]}
                questions.append({"ask": "timetable", "spec": spec, **{k: case[k] for k in ("start_date", "end_date", "now", "catchup")}})
                where.append((case, key, want))
        for (case, key, want), got in zip(where, ask(questions)):
            right = got.get("runs") == want["runs"] and got.get("manual") == want.get("manual_at_now")
            score.add(f"timetables {case['kind']}", f"timetables {case['id']} {key}", right)
    return score.areas, score.misses


def run_trigger_rules(files):
    score = Score()
    for path in files:
        questions, where = [], []
        for row in load(path)["rows"]:
            for version, key in ((2, "airflow_2_11_2"), (3, "airflow_3_3_2")):
                if key in row:
                    questions.append({"ask": "rule", "rule": row["rule"], "upstream": row["upstream"], "version": version})
                    where.append((row, key))
        for (row, key), got in zip(where, ask(questions)):
            score.add(f"rule {row['rule']}", f"rule {row['rule']} [{' '.join(row['upstream'])}] {key}", got["decision"] == row[key])
    return score.areas, score.misses


def run_retry(files):
    score = Score()
    for path in files:
        data = load(path)
        for key in ("airflow_2_11_2", "airflow_3_3_2"):
            cases = data.get(key, [])
            for case, got in zip(cases, ask([{"ask": "retry", **c} for c in cases])):
                name = f"retry {key} {case['task_id']} {case['logical_date']} try {case['try_number']}"
                score.add(f"retry {key}", name, abs(got["wait_s"] - case["wait_s"]) < 1e-6)
    return score.areas, score.misses
