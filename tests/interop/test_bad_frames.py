"""Bad input against the doors and the engine: sizes that lie, requests that never end, decompression bombs in every codec, nesting of
100,000 levels. There is an error or a closed connection, the next client is served, and the memory stays within its named limits.
(The Cassandra door's own: test_cassandra_hostile.py.)"""
import json
import os
import socket
import struct
import subprocess
import sys
import time
import zlib

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE]
import clients  # noqa: E402
from kafka_door import Door  # noqa: E402

DEEP = 100000
# The sanitizers keep freed memory back, or a shadow of all of it; what they hold says nothing about the program.
MEMORY_COUNTS = not any(word in clients.built("kafka_server") for word in ("asan", "tsan"))


def status_mib(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(field)) / 1024


def text16(s):
    return struct.pack(">h", len(s)) + s


def request(api, version, body):
    return struct.pack(">hhi", api, version, 1) + text16(b"test") + body


class Client:
    def __init__(self, door):
        self.s = socket.create_connection(("127.0.0.1", door.port), 10)
        self.s.settimeout(30)

    def send(self, data):
        self.s.sendall(struct.pack(">i", len(data)) + data)

    def take(self, n):
        got = b""
        while len(got) < n:
            part = self.s.recv(n - len(got))
            if not part:
                raise EOFError
            got += part
        return got

    def ask(self, data):
        """The answer without its correlation id."""
        self.send(data)
        return self.take(struct.unpack(">i", self.take(4))[0])[4:]

    def ended(self):
        """Did the other side close?"""
        try:
            return self.s.recv(1) == b""
        except ConnectionError:
            return True


def serves(door):
    c = Client(door)
    assert c.ask(request(18, 0, b""))[:2] == b"\0\0"
    c.s.close()
    assert door.process.poll() is None


# ---- record batches, made by hand ----

TABLE = []
for number in range(256):
    for _ in range(8):
        number = number >> 1 ^ 0x82F63B78 if number & 1 else number >> 1
    TABLE.append(number)


def crc32c(data):
    crc = 0xFFFFFFFF
    for b in data:
        crc = TABLE[(crc ^ b) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def batch(codec, payload, count=1):
    rest = struct.pack(">hiqqqhii", codec, count - 1, 1700000000000, 1700000000000, -1, -1, -1, count) + payload
    return struct.pack(">qiibI", 0, 9 + len(rest), 0, 2, crc32c(rest)) + rest


def produce(client, records):
    """The error code of the partition."""
    answer = client.ask(request(0, 7, struct.pack(">hhii", -1, -1, 5000, 1) + text16(b"t") + struct.pack(">iii", 1, 0, len(records)) + records))
    return struct.unpack(">h", answer[4 + 2 + 1 + 4 + 4:][:2])[0]


def gzip_bomb():
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1 << 20)
    return b"".join([packer.compress(zeros) for _ in range(700)] + [packer.flush()])


def xxh32_short(data):
    m = 0xFFFFFFFF
    h = 374761393 + len(data)
    for b in data:
        h = h + b * 374761393 & m
        h = (h << 11 | h >> 21) & m
        h = h * 2654435761 & m
    h = (h ^ h >> 15) * 2246822519 & m
    h = (h ^ h >> 13) * 3266489917 & m
    return h ^ h >> 16


def lz4_bomb():
    head = b"\x60\x70"
    block = b"\x1f\0\1\0" + b"\xff" * 16400 + b"\0\x50\0\0\0\0\0"
    return b"\x04\x22\x4d\x18" + head + bytes([xxh32_short(head) >> 8 & 255]) + (struct.pack("<I", len(block)) + block) * 58 + b"\0\0\0\0"


def zstd_bomb():
    run = 131072
    block = struct.pack("<I", 1 << 1 | run << 3)[:3] + b"\0"
    last = struct.pack("<I", 1 | 1 << 1 | run << 3)[:3] + b"\0"
    return b"\x28\xb5\x2f\xfd\x00\x38" + block * 20000 + last


BOMBS = {
    "gzip": (1, gzip_bomb),
    "snappy": (2, lambda: b"\xff\xff\xff\xff\x0f" + b"\0a" + b"\xfe\1\0" * 300000),
    "snappy-java": (2, lambda: b"\x82SNAPPY\0\0\0\0\1\0\0\0\1" + (struct.pack(">I", 3 * 20000 + 6) + b"\xc0\xbb\x4e" + b"\0a\0" + b"\xfe\1\0" * 20000) * 16),
    "lz4": (3, lz4_bomb),
    "zstd": (4, zstd_bomb),
}


@pytest.mark.parametrize("name", BOMBS)
def test_decompression_bombs(name):
    codec, make = BOMBS[name]
    bomb = batch(codec, make())
    assert len(bomb) < 1 << 20
    with Door() as door:
        c = Client(door)
        assert c.ask(request(19, 0, struct.pack(">i", 1) + text16(b"t") + struct.pack(">ihiii", 1, 1, 0, 0, 5000)))[-2:] == b"\0\0"
        for _ in range(3):
            assert produce(c, bomb) in (-1, 2, 10, 87), name  # -1: what Kafka answers where a codec fails
        good = b"\0\0\0\1\x02a\0"  # attributes, time, offset, no key, value "a", no headers
        assert produce(c, batch(0, struct.pack(">b", len(good) << 1) + good)) == 0
        if MEMORY_COUNTS:
            assert status_mib(door.process.pid, "VmHWM") < 400
        serves(door)
        c.s.close()


def test_sizes_that_lie():
    with Door() as door:
        serves(door)
        before = status_mib(door.process.pid, "VmRSS")
        for size in (-1, -2147483648, 0, 7, (100 << 20) + 1, 0x7FFFFFFF):
            c = Client(door)
            c.s.sendall(struct.pack(">i", size) + b"\0" * 64)
            assert c.ended(), size
            c.s.close()
        # Lists and texts whose lengths are larger than what follows.
        for body in (struct.pack(">i", 0x7FFFFFFF), struct.pack(">i", 100000000), struct.pack(">i", 1) + struct.pack(">h", 0x7FFF), struct.pack(">i", -5)):
            c = Client(door)
            c.send(request(3, 1, body))
            c.s.shutdown(socket.SHUT_WR)
            assert c.ended(), body
            c.s.close()
        if MEMORY_COUNTS:
            assert status_mib(door.process.pid, "VmRSS") - before < 64
        serves(door)


def test_many_empty_items_are_bounded():
    """A request of 90 MB that is a list of 45 million topics of no name."""
    with Door() as door:
        c = Client(door)
        n = 45000000
        head = request(3, 1, struct.pack(">i", n))
        try:
            c.s.sendall(struct.pack(">i", len(head) + 2 * n) + head)
            for _ in range(90):
                c.s.sendall(bytes(1000000))
            assert c.ended()
        except ConnectionError:
            pass
        c.s.close()
        if MEMORY_COUNTS:
            assert status_mib(door.process.pid, "VmHWM") < 400
        serves(door)


def test_unfinished_requests_are_bounded_together():
    with Door() as door:
        held = []
        for _ in range(40):  # 40 x 30 MB, each of a request of 100 MB that never ends
            c = Client(door)
            held.append(c)
            try:
                c.s.sendall(struct.pack(">i", 100 << 20) + bytes(30000000))
            except ConnectionError:
                pass
        time.sleep(0.3)
        if MEMORY_COUNTS:
            assert status_mib(door.process.pid, "VmRSS") < 700
        serves(door)
        for c in held:
            c.s.close()


# ---- nesting ----

def sql(statement):
    """By this program alone: without --local an instance that somebody runs on the port of the configuration would answer, and may end."""
    run = subprocess.run([clients.built("tidemill"), "sql", "--local", "--json"], input=statement.encode(), capture_output=True, timeout=120, check=False)
    assert run.returncode in (0, 1), (run.returncode, run.stderr[-2000:])
    assert b"AddressSanitizer" not in run.stderr and b"runtime error" not in run.stderr, run.stderr[-2000:]
    return json.loads(run.stdout.splitlines()[-1])


NESTED = {
    "parentheses": lambda: "SELECT " + "(" * DEEP + "1" + ")" * DEEP,
    "calls": lambda: "SELECT " + "abs(" * DEEP + "1" + ")" * DEEP,
    "arrays": lambda: "SELECT " + "array(" * DEEP + "1" + ")" * DEEP,
    "not": lambda: "SELECT " + "NOT " * DEEP + "true",
    "minus": lambda: "SELECT " + "- " * DEEP + "1",
    "case": lambda: "SELECT " + "CASE WHEN " * DEEP + "true" + " THEN 1 END" * DEEP,
    "sums": lambda: "SELECT 1" + " + 1" * DEEP,
    "and": lambda: "SELECT true" + " AND true" * DEEP,
    "concat": lambda: "SELECT 'a'" + " || 'a'" * DEEP,
    "fields": lambda: "SELECT a" + ".b" * DEEP,
    "indexes": lambda: "SELECT array(1)" + "[0]" * DEEP,
    "subqueries": lambda: "SELECT * FROM " + "(SELECT * FROM " * DEEP + "VALUES (1)" + ")" * DEEP,
    "scalar subqueries": lambda: "SELECT " + "(SELECT " * DEEP + "1" + ")" * DEEP,
    "exists": lambda: "SELECT 1 WHERE " + "EXISTS (SELECT 1 WHERE " * DEEP + "true" + ")" * DEEP,
    "unions": lambda: "SELECT 1" + " UNION ALL SELECT 1" * DEEP,
    "joins": lambda: "SELECT 1 FROM VALUES (1) a" + " CROSS JOIN VALUES (1)" * DEEP,
    "ctes": lambda: "WITH a AS (" * DEEP + "SELECT 1" + ") SELECT 1" * DEEP,
    "types": lambda: "SELECT CAST(NULL AS " + "ARRAY<" * DEEP + "INT" + ">" * DEEP + ")",
    "structs": lambda: "SELECT from_json('{}', '" + "a STRUCT<a: " * DEEP + "INT" + ">" * DEEP + "')",
    "lambdas": lambda: "SELECT " + "transform(array(1), x -> " * DEEP + "1" + ")" * DEEP,
    "comments": lambda: "SELECT " + "/*" * DEEP + "*/" * DEEP + " 1",
    "intervals": lambda: "SELECT " + "INTERVAL " * DEEP + "1 DAY",
    "backquotes": lambda: "SELECT " + "`" * DEEP,
}


@pytest.mark.parametrize("name", NESTED)
def test_nesting_in_sql(name):
    answer = sql(NESTED[name]())
    if name == "comments":
        assert "rows" in answer
    elif name != "and":  # a chain of AND is a list, not a nest: it may be answered
        assert answer.get("error", {}).get("class"), str(answer)[:300]


JSON_TEXTS = {
    "arrays": lambda n: "[" * n + "]" * n,
    "objects": lambda n: '{"a":' * n + "1" + "}" * n,
    "unfinished": lambda n: '[{"a":' * n,
}


CALLS = ["from_json('%s', 'a STRING')", "from_json('{\"a\":%s}', 'a STRING')", "get_json_object('%s', '$.a.b')", "json_array_length('%s')", "schema_of_json('%s')", "json_object_keys('%s')",
         "try_parse_json('%s')", "parse_json('%s')", "get_json_object('{}', '$" + ".a" * DEEP + "')"]


@pytest.mark.parametrize("name", JSON_TEXTS)
@pytest.mark.parametrize("call", CALLS, ids=[c.split("(")[0] + str(i) for i, c in enumerate(CALLS)])
def test_nesting_in_json(call, name):
    text = JSON_TEXTS[name](DEEP)
    answer = sql("SELECT " + (call % text if "%s" in call else call))
    assert "error" in answer or len(answer["rows"]) == 1
