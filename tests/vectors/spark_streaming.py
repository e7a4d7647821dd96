"""spark/streaming: streams cut into exact micro-batches; rows, watermarks and dropped rows of every batch, refusals, restarts.

Environment KILL=SEED makes queries die at random points of their batches: the answers have to be the same."""
import json
import math
import os
import subprocess

import programs


def canonical(value):
    """Text that is equal for equal values: 1 and 1.0 of a double apart from rounding in the last place are the same."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, (int, float)):
        if isinstance(value, float) and value == int(value) if math.isfinite(value) else False:
            value = int(value) if abs(value) < 1e15 else value
        return repr(value) if isinstance(value, int) else "%.14g" % value
    if isinstance(value, list):
        return "[" + ",".join(canonical(v) for v in value) + "]"
    if isinstance(value, dict):
        if "$map" in value:
            return "map" + "".join(sorted(canonical(v) for v in value["$map"]))
        return "{" + ",".join(k + ":" + canonical(v) for k, v in sorted(value.items())) + "}"
    return json.dumps(value)


def same_rows(got, want, ordered, unordered_items):
    if unordered_items:
        got, want = ([[sorted(map(canonical, v)) if isinstance(v, list) else v for v in row] for row in rows] for rows in (got, want))
    a, b = [canonical(r) for r in got], [canonical(r) for r in want]
    return a == b if ordered else sorted(a) == sorted(b)


def judge(case, answer):
    """None where all is right, else what is wrong."""
    want, error = case["expect"], answer.get("error")
    expected = want.get("error")
    ordered = case["mode"] == "complete" and "ORDER BY" in case["sql"].upper().split(")")[-1]
    unordered_items = "collect_set" in case["sql"]
    if expected and not error:
        return "no error, expected " + str(expected.get("error_class"))
    if error and not expected:
        restart_errors = [r["error"] for r in want.get("restarts", []) if r.get("error")]
        if not restart_errors:
            return "error %s %s: %s" % (error["phase"], error["class"], error["message"][:150])
        expected = restart_errors[-1]
    if expected:
        klass = expected.get("error_class")
        if klass and klass != error["class"]:
            return "error class %s (%s), expected %s" % (error["class"], error["message"][:100], klass)
    got, batches = answer.get("batches", []), want.get("batches", [])
    for i, (g, w) in enumerate(zip(got, batches)):
        for field in ("batch", "attempt", "uncommitted"):
            if g.get(field) != w.get(field):
                return "batch %d: %s is %s, not %s" % (i, field, g.get(field), w.get(field))
        if not same_rows(g["rows"], w["rows"], ordered, unordered_items):
            return "batch %d (step %s): rows %s, expected %s" % (i, w.get("step"), json.dumps(g["rows"])[:300], json.dumps(w["rows"])[:300])
        if w.get("uncommitted"):
            continue
        for field in ("data", "watermark", "next_watermark", "dropped"):
            if g.get(field) != w.get(field):
                return "batch %d (step %s): %s is %s, not %s" % (i, w.get("step"), field, g.get(field), w.get(field))
    if len(got) != len(batches):
        return "%d batches, expected %d" % (len(got), len(batches))
    if "types" in answer and "types" in want and not error and answer["types"] != want["types"]:
        return "types %s, expected %s" % (answer["types"], want["types"])
    return None


def run_cases(cases):
    """Answers by id; a program that dies costs the case it died in."""
    kill = os.environ.get("KILL")
    command = [programs.program("stream_vectors")] + (["--kill", kill] if kill else [])
    answers, left = {}, list(cases)
    while left:
        text = "\n".join(json.dumps({k: v for k, v in c.items() if k != "expect"}) for c in left) + "\n"
        done = subprocess.run(command, input=text, capture_output=True, text=True)
        lines = [json.loads(x) for x in done.stdout.splitlines() if x.startswith("{")]
        for x in lines:
            answers[x["id"]] = x
        if done.returncode == 0:
            break
        if len(lines) < len(left):
            answers[left[len(lines)]["id"]] = {"died": (done.stderr or "").strip()[-300:] or "exit %d" % done.returncode}
        left = left[len(lines) + 1:]
    return answers


def run(files):
    cases = [c for path in files for c in programs.lines(path)]
    answers = run_cases(cases)
    areas, misses = {}, {}
    for case in cases:
        area = areas.setdefault(case["area"], [0, 0])
        area[1] += 1
        answer = answers.get(case["id"], {"died": "no answer"})
        why = "the program died: " + answer["died"] if "died" in answer else judge(case, answer)
        if why is None:
            area[0] += 1
        else:
            misses[case["id"]] = why
    return areas, misses
