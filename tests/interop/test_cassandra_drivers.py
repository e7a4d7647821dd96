"""Unmodified Python drivers: Debian's 3.25 and PyPI's 3.30, each protocol version, with and without lz4."""
import os
import subprocess
import sys

import clients
import pytest
from cassandra_door import Door

CHECKS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cassandra_checks.py")


def debian_python():
    """Debian's interpreter, where python3-cassandra is installed."""
    for path in ("/usr/bin/python3", sys.executable):
        if os.path.exists(path) and subprocess.run([path, "-c", "import cassandra.cluster"], capture_output=True, check=False).returncode == 0:
            return path
    pytest.skip("python3-cassandra is not installed")
    return None


@pytest.fixture(scope="module")
def door():
    with Door() as d:
        yield d


def run(python, door, version, compression):
    done = subprocess.run([python, CHECKS, str(door.port), str(version), compression], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]


@pytest.mark.parametrize("version", [3, 4, 5, 0])
def test_debian_driver(door, version):
    run(debian_python(), door, version, "plain")


@pytest.mark.parametrize("version, compression", [(3, "lz4"), (4, "plain"), (4, "lz4"), (5, "plain"), (5, "lz4"), (0, "lz4")])
def test_pypi_driver(door, version, compression):
    run(clients.python("cassandra-driver==3.30.0", "lz4"), door, version, compression)
