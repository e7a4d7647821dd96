"""kill -9 while clients write: every row whose write was acknowledged is there after the restart, whole, and none is torn."""
import os
import random
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "vectors"))
import cql_wire  # noqa: E402
import programs  # noqa: E402

ROUNDS = int(os.environ.get("TM_CRASH_ROUNDS", "6"))
IN_FLIGHT = 64


def start(folder):
    process = subprocess.Popen([programs.program("cassandra_server"), folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    port = int(process.stdout.readline())
    connections = [cql_wire.Connection(port, 4) for _ in range(3)]
    for c in connections:
        c.shake()
    return process, connections


def send_query(connection, stream, text):
    body = struct.pack(">I", len(text)) + text + b"\0\1\0"
    connection.send(struct.pack(">BBhBI", 4, 0, stream, 7, len(body)) + body)


def answers(connection):
    """What has come, without waiting."""
    connection.more(0)
    while True:
        answer = connection.receive(-1)
        if not answer:
            return
        yield answer


def write_until_killed(process, connections, next_key, seconds):
    """The keys whose inserts were acknowledged before the kill, and the next key that was never sent."""
    acknowledged, waiting, end, alive = set(), [{} for _ in connections], time.monotonic() + seconds, True
    while alive:
        if time.monotonic() > end:
            process.kill()
            alive = False
        for c, sent in zip(connections, waiting):
            while alive and len(sent) < IN_FLIGHT:
                send_query(c, next_key % 32768, f"INSERT INTO w.t (k, a, b) VALUES ({next_key}, 'a{next_key}', {next_key * 7})".encode())
                sent[next_key % 32768] = next_key
                next_key += 1
        ready = select.select([c.socket for c in connections], [], [], 0.2)[0]
        for c, sent in zip(connections, waiting):
            if c.socket in ready:
                try:
                    for answer in answers(c):
                        assert answer.opcode == 8, answer.content
                        acknowledged.add(sent.pop(answer.stream))
                except cql_wire.Closed:
                    alive = False
    return acknowledged, next_key


def all_rows(connection):
    send_query(connection, 1, b"SELECT k, a, b FROM w.t")
    rows = connection.receive(60).content["rows"]["rows"]
    return {int(k, 16): (bytes.fromhex(a or "").decode(), int(b or "0", 16)) for k, a, b in rows}


def test_no_acknowledged_write_is_lost():
    folder, rng, acknowledged, next_key, kills = tempfile.mkdtemp(prefix="tidemill-cql-"), random.Random(7), set(), 1, 0
    process, connections = start(folder)
    try:
        connections[0].query("CREATE KEYSPACE w WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
        connections[0].query("CREATE TABLE w.t (k int PRIMARY KEY, a text, b int)")
        for _ in range(ROUNDS):
            new, next_key = write_until_killed(process, connections, next_key, rng.uniform(0.05, 0.6))
            acknowledged |= new
            kills += 1
            process.wait()
            for c in connections:
                c.close()
            process, connections = start(folder)
            rows = all_rows(connections[1])
            lost = acknowledged - set(rows)
            assert not lost, f"{len(lost)} acknowledged rows are gone after kill {kills}: {sorted(lost)[:10]}"
            torn = {k: v for k, v in rows.items() if v != (f"a{k}", k * 7)}
            assert not torn, f"torn rows: {list(torn.items())[:5]}"
        assert acknowledged
        print(f"{kills} kills, {len(acknowledged)} acknowledged rows, all there")
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)
