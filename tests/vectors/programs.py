"""Where the built programs are, files of cases (plain or gzip), and known misses."""
import gzip
import json
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def program(name):
    """The path of a program of the tests; TM_BUILD names the build directory."""
    named = os.environ.get("TM_BUILD")
    for build in [named] if named else ["build-debug", "build", "build-asan"]:
        path = os.path.join(ROOT, build, "tests", name)
        if os.path.exists(path):
            return path
    raise SystemExit(f"{name} is not built: ninja -C build-debug {name}")


class Filter:
    """A program of the tests that answers each line with a line of JSON."""

    def __init__(self, name):
        self.name = name
        self.process = subprocess.Popen([program(name)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.name} ended at {line[:1000]}")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def lines(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as f:
        for line in f:
            if line.strip():
                yield json.loads(line)


def data(set_name):
    """The files of a set that are in the repository."""
    folder = os.path.join(HERE, "data", set_name)
    return [os.path.join(folder, n) for n in sorted(os.listdir(folder)) if ".json" in n]


def known(set_name):
    """{case name: reason} of the known misses of a set."""
    path = os.path.join(HERE, "known", set_name + ".txt")
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as f:
        return dict((line.rstrip("\n").split("\t", 1) + [""])[:2] for line in f if line.strip() and not line.startswith("#"))


def check(set_name, misses):
    """Fails when a listed case passes or an unlisted one fails."""
    listed = known(set_name)
    new = {k: v for k, v in misses.items() if k not in listed}
    passed = [k for k in listed if k not in misses]
    assert not new, "wrong, and not in the list of known misses: " + json.dumps(new, indent=1, ensure_ascii=False)
    assert not passed, f"right by now, take them out of known/{set_name}.txt: {passed}"
