#!/usr/bin/env python3
"""docs/functions.md from src/sql/functions.def. `--check` only says whether the page is current (exit 1 when it is not)."""
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STRING = r'"((?:[^"\\]|\\.)*)"'
ROW = re.compile(r"^TM_FN(?:_SIMPLE)?\(" + STRING + r",(.*), " + STRING + ", " + STRING + r"\)$")


def unescape(s):
    return re.sub(r"\\(.)", r"\1", s)


def rows(text):
    """(section, [(name, aggregate, doc, example)]) in the file's order."""
    sections = {}
    section = "Functions"
    for line in text.splitlines():
        m = re.match(r"/\* section: (.*) \*/", line)
        if m:
            section = m[1]
            continue
        m = ROW.match(line)
        if m:
            aggregate = m[2].split(",")[0].strip() == "AGGREGATE"
            sections.setdefault(section, []).append((unescape(m[1]), aggregate, unescape(m[3]), unescape(m[4])))
        elif line.startswith("TM_FN"):
            sys.exit(f"functions.def: a row that is not understood: {line}")
    return sections


def cell(s):
    return s.replace("|", "\\|")


def page(sections):
    total = sum(len(v) for v in sections.values())
    out = ["# Functions", "", f"The {total} functions and operators of Tidemill's Spark SQL, made of `src/sql/functions.def` by `tools/gen/functions.py`.",
           "They take and give what Spark's functions of these names do, under ANSI mode (the default) and without. Besides them the language",
           "has `CASE`, `if`, `coalesce`, `nvl`, `nvl2`, `ifnull`, `nullif`, `struct`, `named_struct`, `typeof`, the casts by type names, `window`, `session_window`,",
           "`explode` and the other generators, and the window functions (`row_number`, `rank`, `lag`, …).", ""]
    for name, items in sections.items():
        out += [f"## {name}", "", "| function | what it gives | example |", "|---|---|---|"]
        for fn, _, doc, example in sorted(items, key=lambda r: r[0]):
            tick = "``" if "`" in example else "`"
            out.append(f"| `{cell(fn)}` | {cell(doc)} | {tick}{cell(example)}{tick} |")
        out.append("")
    return "\n".join(out)


def main():
    with open(os.path.join(TOP, "src/sql/functions.def"), encoding="utf-8") as f:
        text = page(rows(f.read()))
    path = os.path.join(TOP, "docs/functions.md")
    old = open(path, encoding="utf-8").read() if os.path.exists(path) else ""
    if "--check" in sys.argv[1:]:
        if old != text:
            sys.exit("docs/functions.md is not what functions.def says: run tools/gen/functions.py")
    elif old != text:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)


if __name__ == "__main__":
    main()
