"""Recorded requests with bytes changed, cut and put in, against the door: whatever happens, it lives and ends cleanly."""
import os
import random
import socket
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "vectors")]
import programs  # noqa: E402
from kafka_door import Door  # noqa: E402

SECONDS = float(os.environ.get("TM_MUTATION_SECONDS", "3"))


def mutated(rng, request):
    r = bytearray(request)
    for _ in range(rng.choice([0, 0, 1, 1, 2, 4, 8])):
        if not r:
            break
        at, kind = rng.randrange(len(r)), rng.random()
        if at < 8 and rng.random() < 0.7:  # mostly leave the API and its version alone
            at = min(len(r) - 1, 8 + rng.randrange(max(1, len(r) - 8)))
        if kind < 0.4:
            r[at] = rng.randrange(256)
        elif kind < 0.6:
            r[at] ^= 1 << rng.randrange(8)
        elif kind < 0.75:
            del r[at:at + rng.randint(1, 4)]
        elif kind < 0.9:
            r[at:at] = bytes(rng.choice([0, 255, 127, 1, rng.randrange(256)]) for _ in range(rng.randint(1, 4)))
        else:
            r = r[:at]
    return struct.pack(">i", len(r)) + bytes(r)


def test_mutated_requests():
    requests = []
    for path in programs.data("kafka/behaviour"):
        for case in programs.lines(path):
            for step in case["steps"]:
                text = step.get("request_hex", "<")
                if not text.startswith("<") and len(text) < 4000:
                    requests.append(bytes.fromhex(text)[4:])
    assert len(requests) > 500
    rng = random.Random(1)
    with Door() as door:
        end, connections = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            with socket.create_connection(("127.0.0.1", door.port), 10) as s:
                try:
                    s.sendall(b"".join(mutated(rng, rng.choice(requests)) for _ in range(rng.randint(1, 6))))
                    if rng.random() < 0.3:
                        s.recv(65536, socket.MSG_DONTWAIT)
                except OSError:
                    pass  # closed, as it should be
            connections += 1
            assert door.process.poll() is None, door.words()[-4000:]
        assert connections > 100
        assert door.stop() == 0, door.words()[-4000:]
        words = door.words()
        assert "ERROR: " not in words and "runtime error" not in words, words[-4000:]
