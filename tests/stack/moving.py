"""For the tests of moving: servers of a test's own, so that topics and keyspaces may have the names that the examples give them."""
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
from instance import binary  # noqa: E402,F401
from ports import free_port, pump  # noqa: E402


@contextlib.contextmanager
def own(name, *args):
    """A server started by tests/stack/NAME.sh on a port and with data of its own; gives "host:port"."""
    from conftest import install
    install(name)
    data, port = tempfile.mkdtemp(prefix="tm-%s-" % name), free_port()
    script = [os.path.join(HERE, name + ".sh")]
    more = {"kafka4": ["-c"], "cassandra": ["-s", "-j"]}.get(name, [])
    where = ["-p", str(port), "-d", data, "-m", "512m", *[w for option in more for w in (option, str(free_port()))], *args]
    try:
        run = subprocess.run(script + ["start", *where], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=240)
        assert run.returncode == 0, run.stdout[-4000:]
        yield "127.0.0.1:%d" % port
    finally:
        subprocess.run(script + ["stop", *where], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
        shutil.rmtree(data, ignore_errors=True)


@contextlib.contextmanager
def forward(host, port, to):
    """host:port leads to `to`, as a compose file's network would have it."""
    server = socket.create_server((host, port))

    def accept():
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            target = socket.create_connection((to.rpartition(":")[0], int(to.rpartition(":")[2])))
            for pair in ((client, target), (target, client)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def records(bootstrap, topic):
    """Everything in a topic, as (key, value)."""
    from kafka import KafkaConsumer, TopicPartition
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    try:
        parts = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        if not parts:
            return []
        consumer.assign(parts)
        consumer.seek_to_beginning()
        ends, out = consumer.end_offsets(parts), []
        while any(consumer.position(p) < ends[p] for p in parts):
            for batch in consumer.poll(1000).values():
                out += [(r.key, r.value) for r in batch]
        return out
    finally:
        consumer.close()
