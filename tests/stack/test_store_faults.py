"""A Cassandra of our own, in a network of its own, is killed, paused, restarted and cut off while pipelines write to it: in the end the tables hold what
they must, no row less and none changed, and meanwhile the page and the log say what is waited for. Needs root (ip netns); the rest of the machine's
network is not touched. TM_STORE_ROUNDS: how often Tidemill is killed (8).
The node syncs before it acknowledges (commitlog_sync: batch): with Cassandra's default, periodic, a single node that is killed forgets up to 0.1 s of
what it has acknowledged, whoever wrote it."""
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "e2e")]
import instance  # noqa: E402
import store_cases as cases  # noqa: E402
from conftest import install  # noqa: E402

NET, LINK, PORT, NEAR, FAR = "tmstore%d" % os.getpid(), "tms%d" % (os.getpid() % 100000), 9042, "10.213.77.1", "10.213.77.2"


def sh(*words, check=True):
    run = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    assert not check or run.returncode == 0, "%s: %s" % (" ".join(words), run.stdout[-3000:])
    return run


class Node:
    def __init__(self, folder):
        self.folder = folder
        self.url = "cassandra://%s:%d?local_dc=datacenter1" % (FAR, PORT)

    def start(self):
        words = ["ip", "netns", "exec", NET, os.path.join(HERE, "cassandra.sh"), "start", "-p", str(PORT), "-d", self.folder, "-m", "512m", "-n",
                 "-y", "rpc_address: 0.0.0.0", "-y", "broadcast_rpc_address: " + FAR, "-y", "commitlog_sync: batch"]
        for _ in range(20):  # the ports of the one before may still be closing
            run = sh(*words, check=False)
            if run.returncode == 0 or "is taken" not in run.stdout:
                break
            time.sleep(1)
        assert run.returncode == 0, run.stdout[-3000:]

    def stop(self):
        sh("ip", "netns", "exec", NET, os.path.join(HERE, "cassandra.sh"), "stop", "-d", self.folder, check=False)

    def signal(self, number):
        with open(os.path.join(self.folder, "pid")) as f:
            os.kill(int(f.read().split()[0]), number)

    def kill(self):
        self.signal(signal.SIGKILL)
        time.sleep(0.5)

    def cut(self, off):
        sh("ip", "netns", "exec", NET, "ip", "link", "set", "far", "down" if off else "up")


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    install("cassandra")
    if sh("ip", "netns", "add", NET, check=False).returncode:
        pytest.skip("no network namespaces here (needs root)")
    n = Node(str(tmp_path_factory.mktemp("cassandra")))
    try:
        sh("ip", "link", "add", LINK, "type", "veth", "peer", "name", "far", "netns", NET)
        sh("ip", "address", "add", NEAR + "/30", "dev", LINK)
        sh("ip", "link", "set", LINK, "up")
        for words in (["address", "add", FAR + "/30", "dev", "far"], ["link", "set", "far", "up"], ["link", "set", "lo", "up"]):
            sh("ip", "netns", "exec", NET, "ip", *words)
        n.start()
        yield n
    finally:
        n.stop()
        sh("ip", "netns", "del", NET, check=False)
        sh("ip", "link", "del", LINK, check=False)


class Up(instance.Instance):
    """A cold Cassandra on a busy machine takes its time to make a keyspace."""

    def __enter__(self):
        return self.start(timeout=120)


class Flow:
    """Records all the time, from a thread of its own."""

    def __init__(self, project, data, feed):
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(project, data, feed))
        self.thread.start()

    def run(self, project, data, feed):
        while not self.stopped.wait(0.2):
            feed.send(project, data, 300)

    def stop(self):
        self.stopped.set()
        self.thread.join()


def finding(up):
    return [f for f in up.get("/api/status")["findings"] if f["subject"] == "store"]


def kill(node):
    node.kill()
    time.sleep(5)
    node.start()


def restart(node):
    node.stop()
    node.start()


def pause(node):
    node.signal(signal.SIGSTOP)
    time.sleep(30)
    node.signal(signal.SIGCONT)


def cut(node):
    node.cut(True)
    time.sleep(20)
    node.cut(False)


@pytest.mark.parametrize("fault", [kill, restart, pause, cut])
def test_the_store_goes_away_and_comes_back(node, tmp_path, fault):
    keyspace, data, feed = "faults_" + fault.__name__, str(tmp_path / "data"), cases.Feed(fault.__name__)
    os.makedirs(data)
    project = cases.project(tmp_path / "p", keyspace, limit=1000)
    with Up(project, data=data, TIDEMILL_STORE=node.url) as up:
        flow = Flow(project, data, feed)
        try:
            up.wait(lambda: all(cases.written(up).values()))
            during = threading.Thread(target=fault, args=(node,))
            during.start()
            said = up.wait(lambda: finding(up))
            assert FAR in said[0]["what"], said
            up.wait(lambda: "waits: Cassandra at " + FAR in up.output())
            during.join()
            up.wait(lambda: not finding(up), timeout=120)
        finally:
            flow.stop()
        up.wait(lambda: cases.all_read(up, feed.next), timeout=180)
        assert "goes on" in up.output()
        cases.same(cases.tables(up, keyspace), feed.expected())
        print("%s: %d records, nothing lost, nothing twice" % (fault.__name__, feed.next))


def test_tidemill_is_killed_in_the_middle_of_batches(node, tmp_path):
    keyspace, data, feed, rounds = "faults_tidemill", str(tmp_path / "data"), cases.Feed(9), int(os.environ.get("TM_STORE_ROUNDS", "8"))
    os.makedirs(data)
    project = cases.project(tmp_path / "p", keyspace, limit=500)
    for _ in range(rounds):
        up = Up(project, data=data, TIDEMILL_STORE=node.url).start(timeout=120)
        feed.send(project, data, 5000)
        time.sleep(random.uniform(0, 1))
        up.kill()
    with Up(project, data=data, TIDEMILL_STORE=node.url) as up:
        got = up.wait(lambda: cases.settled(up, keyspace, feed), timeout=120)
        cases.same(got, feed.expected())
        print("killed %d times: %d records, nothing lost, nothing twice" % (rounds, feed.next))
