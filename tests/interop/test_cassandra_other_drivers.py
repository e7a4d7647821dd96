"""The drivers of Node.js and Go, unmodified; skipped where npm or go is not there."""
import os
import shutil
import subprocess

import clients
import pytest
from cassandra_door import Door

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture(scope="module")
def door():
    with Door() as d:
        yield d


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)


def installed(folder, commands, env=None):
    """A folder of the cache in which these commands have run once; skips where they fail (no network)."""
    path = os.path.join(clients.cache(), folder)
    done = os.path.join(path, "ready")
    if not os.path.exists(done):
        os.makedirs(path, exist_ok=True)
        for command in commands:
            got = run(command, cwd=path, env=env)
            if got.returncode != 0:
                pytest.skip(f"{' '.join(command)}: {got.stderr[-300:]}")
        open(done, "w", encoding="utf-8").close()
    return path


def test_node(door):
    node = clients.program("node")
    path = installed("node-cassandra-driver-4.8.0", [[clients.program("npm"), "install", "--no-audit", "--no-fund", "--silent", "cassandra-driver@4.8.0"]])
    done = run([node, os.path.join(HERE, "cassandra_node.js"), str(door.port)], env={**os.environ, "NODE_PATH": os.path.join(path, "node_modules")})
    assert done.returncode == 0 and "ok" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("version", [3, 4])
def test_gocql(door, version):
    go = clients.program("go")
    path = os.path.join(clients.cache(), "gocql-1.7.0")
    os.makedirs(path, exist_ok=True)
    shutil.copy(os.path.join(HERE, "cassandra_gocql", "main.go"), path)
    installed("gocql-1.7.0", [[go, "mod", "init", "gocqltest"], [go, "get", "github.com/gocql/gocql@v1.7.0"], [go, "build", "-o", "gocqltest", "."]])
    done = run([os.path.join(path, "gocqltest"), str(door.port), str(version)])
    assert done.returncode == 0 and "ok" in done.stdout, done.stdout + done.stderr
