"""The scripts of the stack: start, status and stop of a server of our own, and what they never do."""
import os
import signal
import socket
import subprocess
import sys

import pytest
from ports import free_port

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture
def zk(tmp_path):
    from conftest import install
    install("zookeeper")
    port = free_port()

    def call(action, *more):
        run = subprocess.run([os.path.join(HERE, "zookeeper.sh"), action, "-p", str(port), "-d", str(tmp_path / "zk"), "-m", "64m", *more], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, universal_newlines=True, timeout=120)
        return run.returncode, run.stdout

    call.port, call.dir = port, tmp_path / "zk"
    yield call
    call("stop")


def test_a_server_comes_and_goes(zk):
    code, text = zk("status")
    assert code == 3 and "stopped" in text
    code, text = zk("start")
    assert code == 0 and "ready in" in text, text
    code, text = zk("start")
    assert code == 0 and "runs already" in text, text
    code, text = zk("status")
    assert code == 0 and "answers at 127.0.0.1:%d" % zk.port in text, text
    pid = int((zk.dir / "pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    while os.path.exists("/proc/%d" % pid) and open("/proc/%d/stat" % pid).read().split(") ")[1][0] != "Z":
        pass
    assert zk("status")[0] == 3
    assert zk("start")[0] == 0
    code, text = zk("stop")
    assert code == 0 and "stopped" in text, text
    code, text = zk("stop")
    assert code == 0 and "not running" in text, text


def test_a_taken_port_is_named(zk):
    with socket.socket() as s:
        s.bind(("127.0.0.1", zk.port))
        s.listen()
        code, text = zk("start")
        assert code == 1 and "port %d is taken" % zk.port in text, text


def test_a_pid_that_is_another_process_is_left_alone(zk):
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        zk.dir.mkdir()
        (zk.dir / "pid").write_text("%d 1\n" % other.pid)
        code, text = zk("stop")
        assert code == 0 and "not running" in text, text
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_an_unknown_name_is_refused():
    run = subprocess.run([os.path.join(HERE, "stack.sh"), "up", "kafka5"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=60)
    assert run.returncode != 0 and "no system is called 'kafka5'" in run.stdout, run.stdout
