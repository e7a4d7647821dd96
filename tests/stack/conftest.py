"""The real systems for tests. A fixture gives the address of a server that answers at its usual port, and starts one (and stops it at the end)
where none does; `kafka39`, `kafka4`, `cassandra` and `zookeeper` are "host:port", `spark35`, `spark43`, `airflow2` and `airflow3` are Installed.
"""
import glob
import os
import socket
import subprocess
import sys
import uuid

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
STACK = os.environ.get("STACK_HOME", "/var/tmp/tidemill-stack")
sys.path[:0] = [HERE, os.path.join(ROOT, "tests", "e2e")]


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    """A failure is said when it happens, not only after the last test: the whole takes more than an hour."""
    terminal = config.pluginmanager.getplugin("terminalreporter")

    class AtOnce:
        @staticmethod
        def pytest_runtest_logreport(report):
            if report.failed and terminal:
                terminal.write_line("\n" + report.longreprtext[-4000:])

    config.pluginmanager.register(AtOnce())


class Installed:
    """A system that each test starts by itself: its interpreter, its jars, its script with the arguments that name it."""

    def __init__(self, name):
        self.name = name
        self.venv = os.path.join(STACK, "venv", name)
        self.python = os.path.join(self.venv, "bin", "python")
        self.jars = sorted(glob.glob(os.path.join(STACK, "lib", name, "*.jar")))
        kind = name.rstrip("0123456789")
        self.version = name[len(kind):]
        self.script = [os.path.join(HERE, kind + ".sh")]

    def run(self, action, *args, **more):
        return subprocess.run(self.script + [action, "-v", self.version, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              universal_newlines=True, **more)


def install(*names):
    run = subprocess.run([os.path.join(HERE, "install.sh"), *names], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    assert run.returncode == 0, run.stdout[-4000:]


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
        return True
    except OSError:
        return False


def server(name, port):
    port += int(os.environ.get("STACK_OFFSET", "0"))

    def fixture():
        script = os.path.join(HERE, name + ".sh")
        ours = not answers(port)
        if ours:
            install(name)
            run = subprocess.run([script, "start"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=600)
            assert run.returncode == 0, run.stdout[-4000:]
        yield "127.0.0.1:%d" % port
        if ours and os.environ.get("TM_STACK_KEEP") != "1":
            subprocess.run([script, "stop"], stdout=subprocess.DEVNULL, timeout=120)

    return pytest.fixture(scope="session", name=name)(fixture)


zookeeper = server("zookeeper", 12181)
kafka39 = server("kafka39", 19092)
kafka4 = server("kafka4", 29092)
cassandra = server("cassandra", 19042)


def installed(fixture, name):
    def give():
        install(name)
        return Installed(name)

    return pytest.fixture(scope="session", name=fixture)(give)


spark35 = installed("spark35", "spark35")
spark43 = installed("spark43", "spark43")
airflow2 = installed("airflow2", "airflow211")
airflow3 = installed("airflow3", "airflow33")


@pytest.fixture
def prefix():
    """For names of topics and keyspaces on the shared servers: what begins with it is removed afterwards by who made it."""
    return "stack_%s_" % uuid.uuid4().hex[:6]
