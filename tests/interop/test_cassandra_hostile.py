"""Bytes that no client sends: recorded conversations with bytes changed, cut and put in; sizes that lie; connections dropped in the
middle. The server answers or closes, keeps its memory, and serves the next client."""
import os
import random
import socket
import struct
import sys
import time

from cassandra_door import Door

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "vectors"))
import cql_wire  # noqa: E402
import programs  # noqa: E402

SECONDS = float(os.environ.get("TM_HOSTILE_SECONDS", "5"))


def resident_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024


def serves(door):
    c = cql_wire.Connection(door.port, 4)
    c.shake()
    assert c.query("SELECT key FROM system.local") is None
    c.close()
    assert door.process.poll() is None


def changed(rng, frame):
    b = bytearray(frame)
    for _ in range(rng.choice([0, 0, 1, 2, 8])):
        if not b:
            break
        at, kind = rng.randrange(len(b)), rng.random()
        if kind < 0.5:
            b[at] = rng.choice([0, 255, 127, 128, rng.randrange(256)])
        elif kind < 0.7:
            del b[at:]
        else:
            b[at:at] = rng.randbytes(rng.randrange(9))
    return bytes(b)


def test_changed_conversations():
    rng = random.Random(5)
    conversations = [[bytes.fromhex(s["hex"]) for s in case["steps"] if s["dir"] == "client" and "hex" in s]
                     for path in programs.data("cql/wire") for case in programs.lines(path)]
    with Door() as door:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            s = socket.create_connection(("127.0.0.1", door.port))
            s.settimeout(0.02)
            try:
                for frame in rng.choice(conversations)[:6]:
                    s.sendall(changed(rng, frame))
                s.recv(1 << 16)
            except OSError:
                pass
            if rng.random() < 0.3:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
            assert door.process.poll() is None
        serves(door)


def test_sizes_that_lie_cost_no_memory():
    with Door() as door:
        serves(door)
        before, held = resident_mib(door.process.pid), []
        for size in (0x7FFFFFFF, 1 << 28, (16 << 20) + 1):
            for _ in range(20):
                c = cql_wire.Connection(door.port, 4)
                c.shake()
                c.send(struct.pack(">BBhBI", 4, 0, 1, 7, size) + b"x" * 100000)
                held.append(c)
        # A decompression bomb: 2 GiB promised by the length in front of an lz4 block.
        for promised in (0x7FFFFFFF, 0xFFFFFFFF, 17 << 20):
            c = cql_wire.Connection(door.port, 4)
            body = b"\0\2" + b"\0\x0bCQL_VERSION\0\x053.0.0" + b"\0\x0bCOMPRESSION\0\x03lz4"
            c.send(struct.pack(">BBhBI", 4, 0, 1, 1, len(body)) + body)
            bomb = struct.pack(">I", promised) + b"\x1f\0\1\0" + b"\xff" * 5000 + b"\0"
            c.send(struct.pack(">BBhBI", 4, 1, 2, 7, len(bomb)) + bomb)
            held.append(c)
        time.sleep(0.3)
        assert resident_mib(door.process.pid) - before < 64
        serves(door)
        for c in held:
            c.close()


def test_unfinished_requests_are_bounded_together():
    with Door() as door:
        held = []
        for _ in range(60):  # 60 x 8 MiB sent, each of a request of 16 MiB that never ends
            c = cql_wire.Connection(door.port, 4)
            c.shake()
            c.send(struct.pack(">BBhBI", 4, 0, 1, 7, 16 << 20) + b"x" * (8 << 20))
            held.append(c)
        assert resident_mib(door.process.pid) < 450
        for c in held:
            c.close()
        serves(door)


def test_deep_nesting_is_an_error():
    with Door() as door:
        c = cql_wire.Connection(door.port, 4)
        c.shake()
        for text in ("SELECT " + "(" * 100000 + "1" + ")" * 100000 + " FROM system.local", "SELECT " + "[" * 100000, "INSERT INTO a.b (c) VALUES (" + "{1:" * 100000,
                     "CREATE TABLE a.b (k " + "list<" * 100000 + "int" + ">" * 100000 + " PRIMARY KEY)"):
            assert c.query(text)["code"] in (0x2000, 0x2200), text[:40]
        c.close()
        serves(door)
