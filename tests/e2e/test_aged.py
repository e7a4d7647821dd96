"""A package's copy of six that its Python is too new for is replaced by the six that is installed; a newer copy is left alone."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(__file__))
from instance import ROOT  # noqa: E402

PROGRAM = """
import sys
sys.path[:0] = [%r, %r]
from tidemill import aged
sys.meta_path.insert(0, aged.Finder())
import kafka.vendor.six as six
from kafka.vendor.six.moves import range as r, queue
print(six.PY3, list(r(2)), queue.__name__, getattr(six, "MINE", False))
"""


def run(tmp_path, copy):
    folder = str(tmp_path / "site" / "kafka" / "vendor")
    os.makedirs(folder, exist_ok=True)
    for path in (os.path.dirname(folder), folder):
        open(os.path.join(path, "__init__.py"), "w").close()
    with open(os.path.join(folder, "six.py"), "w") as f:
        f.write(copy)
    done = subprocess.run(["/usr/bin/python3", "-c", PROGRAM % (str(tmp_path / "site"), os.path.join(ROOT, "python"))], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True)
    return done.stdout.strip() or done.stderr.strip()


def test_an_old_copy_of_six(tmp_path):
    assert run(tmp_path, "MINE, PY3 = True, True\n") == "True [0, 1] queue False"


def test_a_newer_copy_is_left_alone(tmp_path):
    assert run(tmp_path, "MINE, PY3 = True, True\n# def find_spec\n").endswith("No module named 'kafka.vendor.six.moves'; 'kafka.vendor.six' is not a package")
