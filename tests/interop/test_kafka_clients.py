"""Real clients against the Kafka door: every codec, headers, topics made and auto-made, a group of three with one killed,
committed offsets after a restart."""
import os
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import clients  # noqa: E402
from kafka_door import Door  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = {
    "kafka-python-2.0.2": (("kafka-python==2.0.2", "six", "python-snappy", "lz4", "zstandard", "crc32c"), "kafka_client_2.py"),
    "kafka-python-3": (("kafka-python>=3", "python-snappy", "lz4", "zstandard", "crc32c"), "kafka_client_2.py"),
    "confluent-kafka": (("confluent-kafka",), "confluent_client.py"),
    "kafka-python-of-debian": (None, "kafka_client_2.py"),
}


class Client:
    def __init__(self, name):
        packages, script = CLIENTS[name]
        python = clients.python(*packages) if packages else "/usr/bin/python3"
        if not packages and subprocess.run([python, "-c", "import kafka, snappy, lz4, zstandard"], capture_output=True, check=False).returncode != 0:
            pytest.skip("python3-kafka, python3-snappy, python3-lz4, python3-zstandard are not installed")
        self.command = [python, os.path.join(HERE, script)]

    def run(self, phase, *args, timeout=90):
        done = subprocess.run([*self.command, phase, *map(str, args)], capture_output=True, text=True, timeout=timeout, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout.strip()

    def start(self, phase, *args):
        return subprocess.Popen([*self.command, phase, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(params=list(CLIENTS))
def client(request):
    return Client(request.param)


@pytest.fixture
def door():
    with Door() as d:
        yield d


def records_of(output):
    return [tuple(map(int, line.split()[1:])) for line in output.splitlines() if line.startswith("got ")]


def test_a_client(client, door):
    made = client.run("produce", door.address)
    assert "'made'" in made
    assert client.run("consume", door.address) == "consumed"
    # Three members; one is killed while they read: the others take over, and nothing that was committed comes again.
    members = [client.start("group", door.address, "g3", 300, 9) for _ in range(3)]
    time.sleep(3.5)
    members[0].send_signal(signal.SIGKILL)
    outputs = [m.communicate(timeout=120) for m in members]
    assert all(m.returncode == 0 for m in members[1:]), outputs
    seen = [r for out, _ in outputs for r in records_of(out)]
    assert {r for r in seen} == {(p, o) for p in range(3) for o in range(100)} or outputs[0][0], outputs
    missing = {(p, o) for p in range(3) for o in range(100)} - set(seen)
    # The killed one may have committed a batch that it could not print any more.
    assert len(missing) <= 7, sorted(missing)
    assert len(seen) == len(set(seen)), "a committed record came twice"
    assert client.run("committed", door.address, "g3") == "[100, 100, 100]"
    door.restart()
    assert client.run("committed", door.address, "g3") == "[100, 100, 100]"
    door.kill()
    door.start()
    assert client.run("committed", door.address, "g3") == "[100, 100, 100]"
    assert client.run("consume", door.address) == "consumed"


def kcat(*args, stdin=None):
    done = subprocess.run([clients.program("kcat"), *args], input=stdin, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_kcat(door):
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        kcat("-b", door.address, "-P", "-t", "c-" + codec, "-K:", "-z", codec, "-H", "a=b", "-X", "enable.idempotence=true", stdin="k1:v1\nk2:v2\n")
        assert kcat("-b", door.address, "-C", "-t", "c-" + codec, "-e", "-f", "%k %s %h %o\n") == "k1 v1 a=b 0\nk2 v2 a=b 1\n"
    assert 'topic "c-zstd" with 1 partitions' in kcat("-b", door.address, "-L")
    assert kcat("-b", door.address, "-G", "kg", "-o", "earliest", "-e", "c-none") == "v1\nv2\n"
    assert kcat("-b", door.address, "-Q", "-t", "c-none:0:-1") == "c-none [0] offset 2\n"


def test_the_protocol_of_old_brokers(door):
    assert Client("kafka-python-2.0.2").run("old", door.address) == "old"


def test_an_idempotent_producer_through_kills(door):
    producer = Client("confluent-kafka").start("through_kills", door.address, 20000)
    kcat("-b", door.address, "-P", "-t", "kills", "-p", "0", stdin="")
    for _ in range(4):
        time.sleep(1.2)
        door.kill()
        door.start()
    out, err = producer.communicate(timeout=120)
    assert producer.returncode == 0, err
    assert "acknowledged 20000 20000" in out and "lost 0 twice 0 in order True" in out, out + err[-2000:]


def test_transactions_of_librdkafka(door):
    assert Client("confluent-kafka").run("transactions", door.address).startswith("transactions")


def test_garbage_closes_the_connection_and_nothing_else(door):
    import socket
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x10" + bytes(range(0xF0, 0x100)), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
        with socket.create_connection(("127.0.0.1", door.port), 10) as s:
            s.sendall(data)
            assert s.recv(100) == b""
    kcat("-b", door.address, "-P", "-t", "still", stdin="here\n")
