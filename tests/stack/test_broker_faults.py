"""`broker: kafka://…` when the broker is killed, paused for 30 s, restarted and cut off, and when Tidemill is killed while it writes: nothing lost, nothing
twice, the page and the log say what is waited for, and it goes on by itself. Each Kafka is one of its own."""
import os
import random
import signal
import subprocess
import time

import pytest

import broker_cases as cases
import conftest
import instance

SINKS = {"at_least_once": "", "exactly_once": ", processing.guarantee 'exactly_once_v2'"}


@pytest.fixture(params=["kafka4", "kafka39"])
def kafka(request, tmp_path):
    conftest.install(request.param)
    one = cases.Kafka(request.param, tmp_path / "kafka")
    one.start()
    yield one
    one.stop()


def said(up):
    """What the page says that the pipelines wait for."""
    return [p["waiting"] for p in up.get("/api/status")["pipelines"] if p["waiting"]]


@pytest.mark.parametrize("sink", sorted(SINKS))
def test_broker_goes_away(kafka, tmp_path, sink):
    cases.make_topic(kafka.address, "in", 3)
    top, total = cases.project(tmp_path / "project", kafka.address, sink=SINKS[sink]), 20000
    with cases.open_project(top, str(tmp_path / "data")) as up:
        feed = cases.Feed(kafka.address, "in", total, 250)
        feed.start()
        up.wait(lambda: {t["name"]: t["rows"] for t in up.get("/api/tables")}.get("rows", 0) > 500)
        kafka.kill()
        up.wait(lambda: said(up), timeout=30)
        assert any(f["subject"] == "broker" for f in up.get("/api/diagnosis"))
        kafka.start()
        up.wait(lambda: not said(up), timeout=60)
        time.sleep(2)
        kafka.signal(signal.SIGSTOP)
        began = time.time()
        up.wait(lambda: said(up), timeout=30)
        time.sleep(max(0, 30 - (time.time() - began)))
        kafka.signal(signal.SIGCONT)
        up.wait(lambda: not said(up), timeout=60)
        time.sleep(2)
        kafka.run("restart")
        up.wait(lambda: not said(up), timeout=60)
        feed.join(180)
        cases.check(up, kafka.address, "", total)
        assert up.output().count("goes on") >= 1 or "waits:" not in up.output()


@pytest.mark.parametrize("sink", sorted(SINKS))
def test_tidemill_is_killed_while_it_writes(kafka, tmp_path, sink):
    cases.make_topic(kafka.address, "in", 3)
    view = ", maxOffsetsPerTrigger '300'"
    top, total, data = cases.project(tmp_path / "project", kafka.address, sink=SINKS[sink], view=view), 30000, str(tmp_path / "data")
    feed = cases.Feed(kafka.address, "in", total, 1000)
    feed.start()
    chance = random.Random(4)
    replayed = 0
    for _ in range(25):
        up = cases.open_project(top, data).start()
        time.sleep(chance.uniform(0.2, 1.6))
        up.kill()
        replayed += up.output().count("before the restart")
    feed.join(180)
    with cases.open_project(top, data) as up:
        cases.check(up, kafka.address, "", total)
        replayed += up.output().count("before the restart")
    print("%s %s: 25 kills, %d batches found written" % (kafka.name, sink, replayed))


def test_killed_broker_and_killed_tidemill(kafka, tmp_path):
    """Both at once: the broker has half of a transaction when it comes back."""
    cases.make_topic(kafka.address, "in", 2)
    top, total, data = cases.project(tmp_path / "project", kafka.address, sink=SINKS["exactly_once"]), 6000, str(tmp_path / "data")
    feed = cases.Feed(kafka.address, "in", total, 400)
    feed.start()
    for _ in range(3):
        up = cases.open_project(top, data).start()
        time.sleep(2)
        kafka.kill()
        up.kill()
        kafka.start()
    feed.join(180)
    with cases.open_project(top, data) as up:
        cases.check(up, kafka.address, "", total)


class Namespace:
    """A network of its own with one cable to here, which can be pulled."""

    def __init__(self):
        self.name, self.here, self.there = "tmcut%d" % os.getpid(), "tmh%d" % (os.getpid() % 100000), "tmt%d" % (os.getpid() % 100000)
        self.address = "10.199.%d.1" % (os.getpid() % 250)

    def ip(self, *words):
        return subprocess.run(["ip", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)

    def __enter__(self):
        made = self.ip("netns", "add", self.name)
        if made.returncode:
            pytest.skip("no network namespaces here: " + made.stdout.strip())
        self.ip("link", "add", self.here, "type", "veth", "peer", "name", self.there, "netns", self.name)
        self.ip("addr", "add", self.address + "/30", "dev", self.here)
        self.ip("link", "set", self.here, "up")
        for words in (("addr", "add", self.address[:-1] + "2/30", "dev", self.there), ("link", "set", self.there, "up"), ("link", "set", "lo", "up")):
            self.ip("-n", self.name, *words)
        return self

    def __exit__(self, *_):
        self.ip("link", "del", self.here)
        self.ip("netns", "del", self.name)

    def cut(self, seconds):
        self.ip("link", "set", self.here, "down")
        time.sleep(seconds)
        self.ip("link", "set", self.here, "up")


@pytest.mark.parametrize("sink", sorted(SINKS))
def test_network_is_cut(tmp_path, sink):
    conftest.install("kafka4")
    with Namespace() as net:
        port = cases.free_ports(3)[2]
        kafka = cases.Kafka("kafka4", tmp_path / "kafka", listeners=["CUT://%s:%d" % (net.address, port)]).start()
        try:
            cases.make_topic(kafka.address, "in", 3)
            total, data = 12000, str(tmp_path / "data")
            top = cases.project(tmp_path / "project", "%s:%d" % (net.address, port), sink=SINKS[sink])
            os.makedirs(data)
            log = open(os.path.join(data, "output"), "ab")
            up = subprocess.Popen(["ip", "netns", "exec", net.name, instance.binary(), "up", top], env=instance.environment(data), stdout=log, stderr=log)
            feed = cases.Feed(kafka.address, "in", total, 250)
            feed.start()
            try:
                time.sleep(6)
                for seconds in (3, 20):
                    net.cut(seconds)
                    time.sleep(8)
                feed.join(180)
                until = time.time() + 60
                while time.time() < until and sum(cases.values(kafka.address, "out").values()) < total:
                    time.sleep(0.5)
                time.sleep(2)
            finally:
                up.terminate()
                up.wait(30)
                log.close()
            with open(os.path.join(data, "output"), encoding="utf-8") as f:
                text = f.read()
            assert "waits:" in text and "goes on" in text, text
            with cases.open_project(cases.project(tmp_path / "again", kafka.address, sink=SINKS[sink]), data) as here:
                cases.check(here, kafka.address, "", total)
        finally:
            kafka.stop()
