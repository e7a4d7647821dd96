#!/usr/bin/env python3
"""Writes docs/configuration.md again (config.def). With --check: fails when it is not what it would write. tools/gen/functions.py writes
docs/functions.md."""
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def configuration():
    rows = re.findall(r'^TM_CONFIG\(([\w.]+), (\w+), "(.*?)", "(.*)"\)$', open(os.path.join(TOP, "src/cli/config.def"), encoding="utf-8").read(), re.M)
    lines = ["# Configuration", "`tidemill.yaml` in the project directory; every key is optional, the environment wins over the file. An unknown key is an error with a suggestion.",
             "", "| key | environment | default | what it is for |", "|---|---|---|---|"]
    for key, _, default, doc in rows:
        lines.append("| `%s` | `TIDEMILL_%s` | %s | %s |" % (key, key.upper().replace(".", "_"), "`%s`" % default if default else "", doc.replace('\\"', '"')))
    return "\n".join(lines) + "\n"


def main(argv):
    pages = {"docs/configuration.md": configuration()}
    stale = []
    for path, text in pages.items():
        full = os.path.join(TOP, path)
        old = open(full, encoding="utf-8").read() if os.path.exists(full) else None
        if old == text:
            continue
        stale.append(path)
        if "--check" not in argv:
            with open(full, "w", encoding="utf-8") as f:
                f.write(text)
    print("%d pages, %d %s" % (len(pages), len(stale), "stale" if "--check" in argv else "written"), *stale)
    return 1 if stale and "--check" in argv else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
