#!/usr/bin/env python3
"""Checks what a compiler does not: which room includes which, banned calls (with what to use instead), lengths of files, format.

    tools/check.py [--no-format]
"""
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FLOORS = [["base"], ["column"], ["log", "table", "cql", "sql", "stream", "dag"], ["kafka", "cassandra", "spark", "airflow", "zookeeper", "http"], ["cli"]]
# On one floor a room includes another only along these arrows (ARCHITECTURE.md).
ARROWS = {("cql", "table"), ("sql", "stream"), ("stream", "log"), ("stream", "table")}
BANNED = {
    r"\bstrcpy\s*\(": "tm_str, snprintf or memcpy with a checked size", r"\bstrcat\s*\(": "tm_buf", r"\bsprintf\s*\(": "snprintf or tm_buf_printf",
    r"\bvsprintf\s*\(": "vsnprintf", r"\bgets\s*\(": "fgets", r"\bstrtok\s*\(": "tm_str_split", r"\batoi\s*\(": "tm_str_to_i64", r"\batol\s*\(": "tm_str_to_i64",
    r"\bgmtime\s*\(": "gmtime_r", r"\blocaltime\s*\(": "localtime_r", r"\basctime\s*\(": "strftime", r"\brand\s*\(\)": "tm_random", r"\balloca\s*\(": "an arena",
}
WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
LINES_MAX = 1000


def files(*patterns):
    out = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=TOP, stdout=subprocess.PIPE, check=True).stdout.decode()
    return [f for f in out.split("\0") if f and os.path.exists(os.path.join(TOP, f))]


def floor(room):
    return next((i for i, rooms in enumerate(FLOORS) if room in rooms), None)


def check_file(path, problems):
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        lines = f.read().split("\n")
    room = path.split("/")[1] if path.startswith("src/") else None
    if len(lines) > LINES_MAX + 1:
        problems.append("%s: %d lines; split it by purpose (at most %d)" % (path, len(lines), LINES_MAX))
    if room and not path.endswith(".def") and not lines[0].startswith("/*"):
        problems.append("%s:1: a file opens with what it is for" % path)
    for n, line in enumerate(lines, 1):
        include = re.match(r'\s*#\s*include\s+"([^"/]+)/', line)
        if include and room and floor(include.group(1)) is not None:
            other = include.group(1)
            if other != room and (floor(other) > floor(room) or (floor(other) == floor(room) and (room, other) not in ARROWS)):
                problems.append("%s:%d: room %s must not include room %s" % (path, n, room, other))
        if include and room and include.group(1) != room and re.search(r'_int\.h"', line):
            problems.append("%s:%d: %s is private to its room" % (path, n, line.strip()))
        if line.lstrip().startswith(("*", "/*")):
            continue
        code = re.sub(r'"(\\.|[^"\\])*"|/\*.*?\*/|//.*', '""', line)
        for pattern, instead in BANNED.items() if room else ():
            if re.search(pattern, code):
                problems.append("%s:%d: banned call; use %s" % (path, n, instead))
        if WORDS.search(line):
            problems.append("%s:%d: unfinished words: %s" % (path, n, line.strip()[:80]))


def main(argv):
    problems = []
    sources = files("src/*.c", "src/*.h", "src/*.def", "tests/*.c", "tests/*.h", "bench/*.c", "bench/*.h")
    for path in sources:
        check_file(path, problems)
    if "--no-format" not in argv:
        c = [f for f in sources if f.endswith((".c", ".h"))]
        run = subprocess.run(["clang-format", "--dry-run", *c], cwd=TOP, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        bad = sorted({line.split(":")[0] for line in run.stderr.decode().split("\n") if "warning:" in line})
        problems += ["%s: not formatted; `make format`" % f for f in bad]
    for p in problems:
        print(p)
    print("%d files checked, %d problems" % (len(sources), len(problems)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
