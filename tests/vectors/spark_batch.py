"""spark/batch: queries and what a real Spark answered. Right = the same types and rows, or the same error class."""
import json
import math
import os
import subprocess
from collections import Counter

import programs


def answers(program, queries):
    """One answer per (conf, sql); a crash is an answer too, and the program goes on behind it."""
    out, at = [], 0
    while at < len(queries):
        feed = bytearray()
        for conf, sql in queries[at:]:
            feed += b"case\n"
            for k, v in conf.items():
                feed += f"conf {k} {v}\n".encode()
            data = sql.encode()
            feed += b"sql %d\n" % len(data) + data + b"\n"
        env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0", UBSAN_OPTIONS="print_stacktrace=1")
        p = subprocess.run([program], input=bytes(feed), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
        lines = p.stdout.decode("utf-8", "surrogateescape").splitlines()
        for line in lines:
            try:
                out.append(json.loads(line))
            except ValueError:
                out.append({"broken": line[:300]})
        at = len(out)
        if at < len(queries) and len(lines) <= len(queries):
            out.append({"crash": p.returncode, "stderr": p.stderr.decode("utf-8", "replace")[-600:]})
            at = len(out)
    return out[: len(queries)]


def normal(v):
    """A value in a form that compares: floats by value, -0.0 as it is, maps in any order of their entries."""
    if isinstance(v, bool) or v is None or isinstance(v, str):
        return (type(v).__name__, v)
    if isinstance(v, (int, float)):
        if isinstance(v, float) and math.isnan(v):
            return ("num", "NaN")
        return ("num", repr(float(v)) if isinstance(v, float) else v) if not float(v).is_integer() else ("num", int(v))
    if isinstance(v, dict):
        if "$map" in v:
            return ("map", tuple(sorted((normal(e) for e in v["$map"]), key=repr)))
        return ("dict", tuple(sorted((k, normal(x)) for k, x in v.items())))
    return ("list", tuple(normal(x) for x in v))


def judge(case, answer):
    """None when right, else what is wrong."""
    if "crash" in answer or "broken" in answer:
        return "crash: " + json.dumps(answer)
    want_error = "rows" not in case
    error = answer.get("error")
    if want_error:
        if not error:
            return f"answered {json.dumps(answer['rows'])[:120]} instead of {case.get('error_class')}"
        if case.get("error_class") and error["class"] != case["error_class"]:
            return f"{error['class']} instead of {case['error_class']}: {error['message'][:160]}"
        return None
    if error:
        return f"{error['class']}: {error['message'][:200]}"
    types = [c["type"] for c in answer["columns"]]
    if types != case["types"]:
        return f"types {types} instead of {case['types']}"
    got, want = [normal(r) for r in answer["rows"]], [normal(r) for r in case["rows"]]
    ordered = "ORDER BY" in case["sql"].upper()
    if (got != want) if ordered else (Counter(got) != Counter(want)):
        return f"rows {json.dumps(answer['rows'], ensure_ascii=False)[:160]} instead of {json.dumps(case['rows'], ensure_ascii=False)[:160]}"
    return None


def names_differ(case, answer):
    if "rows" not in case or "columns" not in answer:
        return False
    shown = "struct<" + ",".join(f"{c['name']}:{c['type']}" for c in answer["columns"]) + ">"
    return shown != case["schema"]


def run(files):
    areas, misses, names = {}, {}, 0
    program = programs.program("sql_vectors")
    for file in files:
        cases = list(programs.lines(file))
        ansi_off = {} if "3.5" not in os.path.basename(file) else {"spark.sql.ansi.enabled": "false"}
        got = answers(program, [({**ansi_off, **(c.get("conf") or {})}, c["sql"]) for c in cases])
        for case, answer in zip(cases, got):
            area = areas.setdefault(case["area"], [0, 0])
            area[1] += 1
            wrong = judge(case, answer)
            if wrong:
                name = f"{case['area']}: {case['sql']}".replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
                misses[name] = " ".join(wrong.split())
            else:
                area[0] += 1
                names += names_differ(case, answer)
    if names:
        print(f"(right, but other column names than Spark's: {names})")
    return areas, misses
