"""Doors beyond loopback, as in a container: only by listen.network, and then with the right answers to who asks from where."""
import http.client
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(__file__))
from instance import Instance, binary, command, environment  # noqa: E402
from ports import free_port  # noqa: E402


def status_for(port, host):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/api/topics", headers={"Host": host})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def advertised(port):
    """What the Kafka door tells a client that came to this port, as host:port."""
    out = subprocess.run(["kcat", "-b", "127.0.0.1:%d" % port, "-L", "-J", "-m", "10"], stdout=subprocess.PIPE, check=True, timeout=30).stdout
    return [b["name"] for b in json.loads(out)["brokers"]]


def test_a_door_beyond_loopback_needs_the_word(tmp_path):
    env = environment(str(tmp_path / "d"), TIDEMILL_LISTEN_HTTP="0.0.0.0:0")
    run = subprocess.run([binary(), "up", str(tmp_path), "--until-idle"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=60)
    assert run.returncode != 0 and "not a loopback address" in run.stderr and "listen.network" in run.stderr, run.stderr


def test_each_listener_tells_its_own_address(tmp_path):
    published = free_port()
    with Instance(str(tmp_path), TIDEMILL_LISTEN_NETWORK="trusted", TIDEMILL_LISTEN_HTTP="0.0.0.0:0", TIDEMILL_LISTEN_KAFKA="0.0.0.0:0",
                  TIDEMILL_LISTEN_CASSANDRA="0.0.0.0:0", TIDEMILL_LISTEN_NAMES="tidemill, Page.lan", TIDEMILL_LISTEN_KAFKA_ADVERTISED="localhost:%d" % published,
                  TIDEMILL_LISTEN_KAFKA_PUBLISHED="127.0.0.1:%d" % published) as i:
        assert advertised(published) == ["127.0.0.1:%d" % published]
        assert advertised(i.kafka) == ["localhost:%d" % published]
        for host, status in [("127.0.0.1:%d" % i.http, 200), ("localhost", 200), ("tidemill:8080", 200), ("PAGE.lan", 200), ("172.18.0.2:8080", 200), ("[fd00::2]:80", 200),
                             ("evil.example", 403), ("tidemill.evil.example", 403), ("1.2.3.4.evil.example", 403), ("", 403)]:
            assert status_for(i.http, host) == status, host
        # The commands find it by loopback.
        run = command("health", str(tmp_path), data=i.data)
        assert run.returncode == 0 and "http://127.0.0.1:%d" % i.http in run.stdout, run.stdout + run.stderr
        assert command("cql", "SELECT key FROM system.local", project=str(tmp_path), data=i.data).returncode == 0


def test_two_listeners_of_one_port_are_refused(tmp_path):
    port = free_port()
    env = environment(str(tmp_path / "d"), TIDEMILL_LISTEN_KAFKA="127.0.0.1:%d" % port, TIDEMILL_LISTEN_KAFKA_PUBLISHED="127.0.0.1:%d" % port)
    run = subprocess.run([binary(), "up", str(tmp_path), "--until-idle", "--next-free-port"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=60)
    assert run.returncode != 0 and "listen.kafka_published: port %d" % port in run.stderr and "different ports" in run.stderr, run.stderr


def test_health_is_an_exit_status(tmp_path):
    with Instance(str(tmp_path)) as i:
        assert command("health", str(tmp_path), data=i.data).returncode == 0
        assert '"status": "ok"' in command("health", "--json", project=str(tmp_path), data=i.data).stdout
        assert status_for(i.http, "172.18.0.2:8080") == 403, "addresses are nobody's name where loopback is all"
        data = i.data
        i.own = False
    run = command("health", str(tmp_path), data=data)
    assert run.returncode != 0 and "no instance of this project answers" in run.stderr
