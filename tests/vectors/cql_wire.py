"""cql/wire: conversations in the native protocol, byte for byte what a Cassandra sent and answered.

The client's bytes are sent as they were recorded, save that a paging state of the recording becomes the one our server gave
in its place. Answers are taken apart and compared field by field; free are paging states (there or not there), tracing ids,
what the recording marks, and the words of 0x0000 errors, which are Java's. Every server step counts as one."""
import hashlib
import re
import select
import socket
import struct
import subprocess
import time

import programs
from cql_frames import Closed, Envelope, segment, segments_of

WAIT_S = 3
SETUP = ["DROP KEYSPACE IF EXISTS w", "DROP KEYSPACE IF EXISTS wx",
         "CREATE KEYSPACE w WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
         "CREATE TABLE w.t (k int, c int, v text, PRIMARY KEY (k, c))", "CREATE TABLE w.n (k int PRIMARY KEY, n counter)"]
SETUP += [f"INSERT INTO w.t (k, c, v) VALUES (1, {c}, 'v{c}') USING TIMESTAMP 1" for c in range(1, 6)]
SETUP += ["INSERT INTO w.t (k, c) VALUES (2, 1) USING TIMESTAMP 1"]
# What the recorder made without saying so.
EXTRA = {
    "errors": ["CREATE FUNCTION w.thr (a int) RETURNS NULL ON NULL INPUT RETURNS int LANGUAGE java AS 'throw new RuntimeException(\"boom\");'"],
    "all_types": [
        "CREATE TYPE w.u (a int, b text)",
        "CREATE TABLE w.ty (k int PRIMARY KEY, a ascii, bi bigint, bl blob, bo boolean, d double, da date, de decimal, du duration, f float, fl frozen<list<int>>, "
        "fu frozen<u>, i inet, l list<int>, m map<int, text>, nn frozen<list<frozen<map<text, frozen<set<int>>>>>>, s set<text>, si smallint, ti time, tp tuple<int, text>, ts timestamp, "
        "tu timeuuid, ty tinyint, u uuid, ud u, v varint, ve vector<float, 2>)",
        "INSERT INTO w.ty (k, a, bi, bl, bo, d, da, de, du, f, fl, fu, i, l, m, nn, s, si, ti, tp, ts, tu, ty, u, ud, v, ve) VALUES (1, 'a', 2, 0x03, true, 2.5, "
        "'2024-02-29', 1.50, 1mo2d3ns, 0.5, [3], {a: 2}, '::1', [1, 2], {1: 'y'}, [{'k': {1}}], {'x'}, 7, '00:00:01', (1, 'z'), 1000, "
        "50554d6e-29bb-11e5-b345-feff819cdc9f, 8, 123e4567-e89b-12d3-a456-426614174000, {a: 1, b: 'q'}, 99999999999999999999, [1, 2])"]}
BEFORE = {"after another connection did ALTER TABLE ADD": ["ALTER TABLE w.t ADD extra int"], "after DROP of the column": ["ALTER TABLE w.t DROP extra"],
          "table dropped and made again: unprepared": ["DROP TABLE w.n", "CREATE TABLE w.n (k int PRIMARY KEY, n counter)"]}
SHAKEN = {"bad_opcodes", "bad_bodies", "oversized", "segments"}  # their further connections began with a STARTUP that was not recorded


class Connection:
    """A socket that gives envelopes."""

    def __init__(self, port, version, lz4=False):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
        self.version, self.lz4, self.segmented = version, lz4, False
        self.raw, self.plain = b"", b""

    def close(self):
        self.socket.close()

    def shake(self):
        body = b"\0\1" + b"\0\x0bCQL_VERSION\0\x053.0.0"
        self.send(struct.pack(">BBhBI", self.version, 0, 1, 1, len(body)) + body)
        self.receive()
        self.segmented = self.version >= 5

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # the reading that follows says what happened

    def more(self, wait_s):
        if not select.select([self.socket], [], [], wait_s)[0]:
            return False
        try:
            data = self.socket.recv(1 << 18)
        except OSError:
            data = b""
        if not data:
            raise Closed()
        self.raw += data
        return True

    def unpack(self):
        if not self.segmented:
            self.plain, self.raw = self.plain + self.raw, b""
            return
        payloads, self.raw = segments_of(self.raw, self.lz4)
        self.plain += b"".join(p for p, _ in payloads)

    def receive(self, wait_s=WAIT_S):
        """The next envelope, or None after the wait."""
        end = time.monotonic() + wait_s
        while True:
            self.unpack()
            if len(self.plain) >= 9:
                size = 9 + struct.unpack(">I", self.plain[5:9])[0]
                if len(self.plain) >= size:
                    whole, self.plain = self.plain[:size], self.plain[size:]
                    return Envelope(whole[:9], whole[9:], self.lz4)
            if time.monotonic() > end or not self.more(max(0, end - time.monotonic())):
                return None

    def closed(self):
        end = time.monotonic() + 2
        try:
            while time.monotonic() < end:
                if not self.more(max(0, end - time.monotonic())):
                    return False
        except Closed:
            return True
        return False

    def query(self, text):
        body = text.encode()
        body = struct.pack(">I", len(body)) + body + b"\0\1\0"
        self.send(struct.pack(">BBhBI", 4, 0, 1, 7, len(body)) + body)
        answer = self.receive(20)
        return answer.content if answer and answer.opcode == 0 else None


class Server:
    """Our server over a store in memory, with one connection for what happens beside a case."""

    def __init__(self):
        self.process = subprocess.Popen([programs.program("cassandra_server"), "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())
        self.control = Connection(self.port, 4)
        self.control.shake()

    def close(self):
        self.control.close()
        self.process.stdin.close()
        self.process.wait(timeout=20)
        self.process.stdout.close()


def large_request(step):
    """A request of which only the head was recorded: the text is one letter, repeated."""
    text = re.match(r"(.*?'x)x*…$", step["decoded"]["query"]).group(1)
    for parts in (1, 2, 3):
        size = step["bytes"] - 10 * parts - 9 - 4 - 6
        query = (text + "x" * (size - len(text) - 2) + "')").encode()
        body = struct.pack(">I", len(query)) + query + b"\0\1\0\0\0\0"
        envelope = struct.pack(">BBhBI", 5, 0, step["frame"]["stream"], 7, len(body)) + body
        first = int.from_bytes(bytes.fromhex(step["hex_head"][:6]), "little") & 0x1FFFF
        data = segment(envelope[:first], False) + segment(envelope[first:], False)
        if hashlib.sha256(data).hexdigest() == step["sha256"]:
            return data
    raise AssertionError("the large request could not be made again")


class Case:
    def __init__(self, server, case):
        self.server, self.case = server, case
        self.area = re.sub(r"_v\d$", "", case["case"])
        self.connections, self.states, self.fresh = {}, {}, set()
        self.right, self.misses = 0, {}

    def connection(self, step):
        label = step.get("connection", "")
        if label in self.connections and label not in self.fresh:
            return self.connections[label]
        if label in self.connections:
            self.connections[label].close()
        self.fresh.discard(label)
        lz4 = any((s.get("decoded") or {}).get("options", {}).get("COMPRESSION") == "lz4" for s in self.case["steps"] if s["dir"] == "client")
        c = self.connections[label] = Connection(self.server.port, self.case["version"], lz4)
        if label and self.area in SHAKEN and (step.get("frame") or {}).get("opcode") != "STARTUP":
            c.shake()
        return c

    def request_bytes(self, step):
        if "hex" not in step:
            return large_request(step)
        data = bytes.fromhex(step["hex"])
        for theirs, ours in self.states.items():
            old = struct.pack(">I", len(theirs) // 2) + bytes.fromhex(theirs)
            if old in data:
                new = struct.pack(">I", len(ours) // 2) + bytes.fromhex(ours)
                whole = segments_of(data)[0][0][0] if step.get("segmented") else data
                body = whole[9:].replace(old, new)
                whole = whole[:5] + struct.pack(">I", len(body)) + body
                return segment(whole) if step.get("segmented") else whole
        return data

    def expected(self, step, connection):
        data = bytes.fromhex(step["hex"])
        if step.get("segments"):
            data = b"".join(p for p, _ in segments_of(data, connection.lz4)[0])
        size = 9 + struct.unpack(">I", data[5:9])[0]
        return Envelope(data[:9], data[9:size], connection.lz4)

    def differs(self, step, connection, got):
        """None, or what differs between an answer and the recorded one."""
        if got is None:
            return "no answer"
        if "hex" not in step:
            return None if (got.length, got.stream) == (step["frame"]["length"], step["frame"]["stream"]) else f"length {got.length}"
        want, marks = self.expected(step, connection), step.get("decoded") or {}
        if (want.version, want.flags, want.stream, want.opcode) != (got.version, got.flags, got.stream, got.opcode):
            return f"header {got.version, got.flags, got.stream, got.opcode} {got.content}, not {want.version, want.flags, want.stream, want.opcode}"
        if want.warnings != got.warnings:
            return f"warnings {got.warnings}"
        a, b = want.content, got.content
        if want.opcode == 0 and b["code"] == a["code"] and (a["code"] == 0 or marks.get("error", {}).get("message") == "<any>"):
            return None
        if want.opcode == 8 and "rows" in a and "rows" in b:
            if "paging_state" in a["rows"] and "paging_state" in b["rows"]:
                self.states[a["rows"]["paging_state"]] = b["rows"]["paging_state"]
                a["rows"]["paging_state"] = b["rows"]["paging_state"]
            for i, row in enumerate(marks.get("rows_hex") or []):
                for k, cell in enumerate(row):
                    if cell == "<any>" and i < len(b["rows"]["rows"]):
                        a["rows"]["rows"][i][k] = b["rows"]["rows"][i][k]
        return None if a == b else f"{b}, not {a}"

    def answers(self, steps):
        """A run of answers on one connection, matched by stream and opcode: their order is free."""
        c = self.connection(steps[0][1])
        got = []
        try:
            for _ in steps:
                got.append(c.receive())
        except Closed:
            pass
        for number, step in steps:
            frame = step["frame"]
            match = next((g for g in got if g and g.stream == frame["stream"] and g.opcode == (0 if frame["opcode"] == "ERROR" else g.opcode)), None)
            match = next((g for g in got if g and g.stream == frame["stream"] and (g.opcode == 0x0C) == (frame["opcode"] == "EVENT")), match)
            if match in got:
                got.remove(match)
            try:
                self.count(number, step, self.differs(step, c, match))
            except (AssertionError, UnicodeDecodeError) as e:
                self.count(number, step, f"unreadable: {e}")
            if frame["opcode"] == "READY" and self.case["version"] >= 5:
                c.segmented = True

    def count(self, number, step, wrong):
        if wrong:
            self.misses[f"{self.case['case']}#{number}"] = wrong[:600]
        else:
            self.right += 1

    def run(self):
        for text in SETUP + EXTRA.get(self.area, []):
            self.server.control.query(text)
        steps, i = self.case["steps"], 0
        while i < len(steps):
            step = steps[i]
            if step["dir"] == "note":
                self.server.control.query(step["comment"].split(": ", 1)[1])
            elif step["dir"] == "client":
                for text in BEFORE.get(step.get("comment"), []):
                    self.server.control.query(text)
                self.connection(step).send(self.request_bytes(step))
            elif "closed" in step or "nothing_for_s" in step:
                self.silence(i, step)
            else:
                run = [(i, step)]
                while i + 1 < len(steps) and steps[i + 1]["dir"] == "server" and steps[i + 1].get("frame") and steps[i + 1].get("connection") == step.get("connection"):
                    i += 1
                    run.append((i, steps[i]))
                self.answers(run)
            i += 1
        for c in self.connections.values():
            c.close()
        return self.right, self.misses

    def silence(self, number, step):
        label = step.get("connection")
        before = step if label else next((s for s in reversed(self.case["steps"][:number]) if "connection" in s), self.case["steps"][0])
        c = self.connection(before)
        try:
            if "closed" in step:
                self.count(number, step, None if c.closed() else "the connection stays open")
            else:
                got = c.receive(0.3)
                self.count(number, step, got and f"an answer: {got.content}")
        except Closed:
            self.count(number, step, "the connection was closed")
        if before.get("connection"):
            self.fresh.add(before["connection"])


def run(files):
    server, areas, misses = Server(), {}, {}
    try:
        for path in files:
            for line in programs.lines(path):
                case = Case(server, line)
                right, wrong = case.run()
                area = areas.setdefault(case.area, [0, 0])
                area[0] += right
                area[1] += sum(s["dir"] == "server" for s in line["steps"])
                misses.update(wrong)
    finally:
        server.close()
    return areas, misses
