"""kafka/behaviour: conversations with a Kafka broker, replayed in file order against one door with an empty log.

A case is right when every step of it is. Known marks (`<any:kind-N>`) stand for a value that is the same throughout the case;
where one is sent it takes the value that this door gave before.
"""
import json
import os
import re
import select
import socket
import struct
import sys
import time

import programs
from kafka_messages import Codec

sys.path.insert(0, os.path.join(programs.ROOT, "tests", "interop"))
import kafka_door  # noqa: E402


class Wrong(Exception):
    pass


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, data):
        self.socket.sendall(data)

    def frame(self, timeout=12):
        """One answer, None when nothing comes, b"" when the connection was closed."""
        end = time.monotonic() + timeout
        while True:
            if len(self.buffer) >= 4:
                size = struct.unpack(">i", self.buffer[:4])[0]
                if len(self.buffer) >= 4 + size:
                    frame, self.buffer = self.buffer[4:4 + size], self.buffer[4 + size:]
                    return frame
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                return None
            try:
                data = self.socket.recv(1 << 20)
            except ConnectionError:
                data = b""
            if not data:
                return b""
            self.buffer += data

    def close(self):
        self.socket.close()


def varint(n):
    n = (n << 1) ^ (n >> 63)
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


CRC32C = []
for i in range(256):
    for _ in range(8):
        i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
    CRC32C.append(i)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def one_record(size, timestamp):
    """A batch of one record without a key."""
    body = b"\0" + varint(0) + varint(0) + varint(-1) + varint(size) + b"v" * size + varint(0)
    rest = struct.pack(">hiqqqhii", 0, 0, timestamp, timestamp, -1, -1, -1, 1) + varint(len(body)) + body
    return struct.pack(">qiibI", 0, len(rest) + 9, -1, 2, crc32c(rest)) + rest


def without_times(records):
    """Batches whose times the broker sets (control batches, append time) with those times and their checksum as zeros."""
    data, out = bytes.fromhex(records), b""
    while len(data) >= 61:
        size = struct.unpack(">i", data[8:12])[0] + 12
        batch, data = data[:size], data[size:]
        attributes = struct.unpack(">h", batch[21:23])[0]
        if attributes & 0x28:
            keep_base = not attributes & 0x20
            batch = batch[:17] + b"\0" * 4 + batch[21:27] + (batch[27:35] if keep_base else b"\0" * 8) + b"\0" * 8 + batch[43:]
        out += batch
    return (out + data).hex()


def same(want, got, bound, unordered, path=""):
    """Compares; marks in `want` are bound to what stands in `got`. Raises Wrong."""
    if isinstance(want, str) and want.startswith("<"):
        if want.startswith("<any"):
            kind = want[1:-1]
            if re.search(r"-\d+$| of ", kind):
                if kind in bound and bound[kind] != got:
                    raise Wrong(f"{path}: {got!r} where {kind} was {bound[kind]!r}")
                bound[kind] = got
            return
        if want.startswith("<left out"):
            return
    if isinstance(want, str) and "<any" in want and isinstance(got, str):
        pattern = ".*".join(re.escape(p) for p in re.split(r"<any[^>]*>", want))
        if not re.fullmatch(pattern, got, re.S):
            raise Wrong(f"{path}: {got!r}, not {want!r}")
        return
    if isinstance(want, dict) and isinstance(got, dict):
        for key in want:
            if key not in got:
                raise Wrong(f"{path}.{key} is missing")
            if key == "records" and isinstance(want[key], str) and isinstance(got[key], str) and not want[key].startswith("<"):
                same(without_times(want[key]), without_times(got[key]), bound, unordered, f"{path}.{key}")
                continue
            same(want[key], got[key], bound, unordered, f"{path}.{key}")
        extra = [k for k in got if k not in want]
        if extra:
            raise Wrong(f"{path} has {extra} too")
        return
    if isinstance(want, list) and isinstance(got, list):
        if len(want) != len(got):
            raise Wrong(f"{path}: {len(got)} elements, not {len(want)}: {json.dumps(got)[:300]}")
        if not unordered:
            for i, (w, g) in enumerate(zip(want, got)):
                same(w, g, bound, unordered, f"{path}[{i}]")
            return
        left = list(got)
        for w in want:
            for g in left:
                trial = dict(bound)
                try:
                    same(w, g, trial, unordered, path)
                except Wrong:
                    continue
                bound.update(trial)
                left.remove(g)
                break
            else:
                raise Wrong(f"{path}: none is like {json.dumps(w)[:200]}")
        return
    if want != got or isinstance(want, bool) != isinstance(got, bool):
        raise Wrong(f"{path}: {json.dumps(got)[:160]}, not {json.dumps(want)[:160]}")


class Case:
    def __init__(self, runner, case):
        self.runner, self.case, self.bound = runner, case, runner.bound_global
        self.bound = dict(runner.bound_global)
        self.connections = {}

    def connection(self, label):
        if label not in self.connections:
            self.connections[label] = Connection(self.runner.door.port)
        return self.connections[label]

    def drop(self, label):
        if label in self.connections:
            self.connections.pop(label).close()

    def fill(self, value, recorded=None):
        """Marks in a request get the values that were seen; one that was never seen stands for the recorded one."""
        if isinstance(value, str) and value.startswith("<any"):
            kind = value[1:-1]
            if kind in self.bound:
                return self.bound[kind]
            m = re.match(r"any:topicId of (.*)", kind)
            if m:
                self.bound[kind] = self.runner.topic_id(m[1])
                return self.bound[kind]
            if recorded is None:
                raise Wrong(f"{value} was not seen before")
            return recorded
        m = re.fullmatch(r"<one record, null key, value (\d+) times v, timestamp (\d+)>", value) if isinstance(value, str) else None
        if m:
            return one_record(int(m[1]), int(m[2])).hex()
        if isinstance(value, dict):
            return {k: self.fill(v, recorded.get(k) if isinstance(recorded, dict) else None) for k, v in value.items()}
        if isinstance(value, list):
            return [self.fill(v, recorded[i] if isinstance(recorded, list) and i < len(recorded) else None) for i, v in enumerate(value)]
        return value

    def request_bytes(self, step):
        text = json.dumps(step.get("request"))
        whole = "request_hex" in step and not step["request_hex"].startswith("<")
        if "<any" not in text and whole:
            return bytes.fromhex(step["request_hex"])
        api = self.runner.codec.apis[step["api"]]
        recorded = None
        if whole:
            skip = 4 + 8 + 2 + 2 + (1 if step["version"] >= api["flexible"] else 0)
            recorded = self.runner.codec.ask({"api": step["api"], "kind": "request", "version": step["version"], "hex": step["request_hex"][2 * skip:]}).get("json")
        body = self.runner.encode(step["api"], step["version"], self.fill(step["request"], recorded))
        head = struct.pack(">hhi", api["key"], step["version"], 1) + struct.pack(">h", 2) + b"tv"
        if step["version"] >= api["flexible"]:
            head += b"\0"
        return struct.pack(">i", len(head) + len(body)) + head + body

    def check(self, step, frame):
        """The answer's body as JSON against what is wanted."""
        api = self.runner.codec.apis[step["api"]]
        version = step["version"]
        head = 4
        if step["api"] == "ApiVersions":
            if not 0 <= version <= api["max"]:
                version = 0
        elif version >= api["flexible"]:
            head += 1
        got = self.runner.decode(step["api"], version, frame[head:])
        want = step["response"]
        if "internal topics left out" in self.case.get("note", ""):
            got["topics"] = [t for t in got["topics"] if not t["isInternal"]]
        same(want, got, self.bound, step.get("unordered"))

    def pending_answers(self, label):
        """Answers that were asked for by earlier steps of this connection and are not read yet."""
        waiting = self.runner.waiting.get((id(self), label), [])
        for step in waiting:
            frame = self.connection(label).frame()
            if not frame:
                raise Wrong(f"{step['api']}: no answer came later")
            self.check(step, frame)
        waiting.clear()

    def step(self, step, following):
        label = step.get("connection", "A")
        if "setup" in step:
            self.runner.setup(step)
            return
        if "raw_request_hex" in step or "raw_request" in step:
            self.raw(step, label)
            return
        m = re.search(r"after ([\d.]+) s", step.get("note", ""))
        if m and self.case["case"] == "group-session-expiry":
            time.sleep(float(m[1]))
        elif "after a moment" in step.get("note", "") or "a moment later" in step.get("note", ""):
            time.sleep(0.3)
        if step["api"] not in self.runner.codec.apis:
            raise Wrong("the API is not advertised")
        self.pending_answers(label)
        self.connection(label).send(self.request_bytes(step))
        self.runner.sent = time.monotonic()
        if step.get("result") == "connection closed":
            if self.connection(label).frame(3) != b"":
                raise Wrong("the connection stayed open")
            self.drop(label)
            return
        if step.get("result") == "no response":
            return
        if self.must_wait(step, label, following):
            self.runner.waiting.setdefault((id(self), label), []).append(step)
            time.sleep(0.15)
            return
        frame = self.connection(label).frame()
        if frame is None:
            raise Wrong("no answer")
        if frame == b"":
            self.drop(label)
            raise Wrong("the connection was closed")
        self.check(step, frame)

    @staticmethod
    def must_wait(step, label, following):
        """Joins and syncs that wait for another connection's request, and pipelined requests."""
        if "waits" in step.get("note", "") or step.get("pipelined") or step.get("waited") == "until data came":
            return True
        return step["api"] in ("JoinGroup", "SyncGroup") and step.get("waited") and any(f.get("connection", "A") != label for f in following[:1])

    def raw(self, step, label):
        data = bytes.fromhex(step.get("raw_request_hex") or "")
        m = re.match(r"last byte of ([0-9a-f]+)", step.get("note", ""))
        if m:  # the bytes before it were sent one by one
            for byte in bytes.fromhex(m[1])[:-1]:
                self.connection(label).send(bytes([byte]))
                time.sleep(0.002)
        self.connection(label).send(data)
        result = step.get("result").split(",")[0]
        if result == "connection closed":
            frame = self.connection(label).frame(3)
            self.drop(label)
            if frame != b"":
                raise Wrong("the connection stayed open" if frame is None else "an answer came")
        elif result == "no response":
            frame = self.connection(label).frame(1)
            if frame is not None:
                raise Wrong("the connection was closed" if frame == b"" else "an answer came")
            self.drop(label)
        elif result == "response" or "response_hex" in step:
            frame = self.connection(label).frame(3)
            if not frame:
                raise Wrong("no answer")
        else:
            raise Wrong(f"an unknown result {result}")

    def run(self):
        steps = self.case["steps"]
        try:
            wrong = None
            for i, step in enumerate(steps):
                try:
                    self.step(step, steps[i + 1:])
                except Wrong as e:
                    # The rest goes on: later cases stand on what this one leaves.
                    wrong = wrong or f"step {i + 1} ({step.get('api', 'raw' if 'setup' not in step else 'setup')}{' v%s' % step['version'] if 'version' in step else ''}"\
                           f"{', ' + step['note'][:60] if 'note' in step else ''}): {e}"
            for label in list(self.connections):
                try:
                    self.pending_answers(label)
                except Wrong as e:
                    wrong = wrong or str(e)
            return wrong
        finally:
            for label in list(self.connections):
                self.drop(label)


class Runner:
    def __init__(self, door):
        self.door, self.codec = door, Codec()
        self.bound_global, self.waiting = {}, {}
        self.admin = Connection(door.port)

    def encode(self, api, version, request):
        records = []

        def collect(value):
            if isinstance(value, dict):
                out = {}
                for k, v in value.items():
                    if k == "records" and isinstance(v, str):
                        records.append(v)
                        out["recordsSizeInBytes"] = len(v) // 2
                    else:
                        out[k] = collect(v)
                return out
            return [collect(v) for v in value] if isinstance(value, list) else value

        answer = self.codec.ask({"api": api, "kind": "request", "version": version, "json": collect(request), "records": records})
        # Collected in the order of the JSON, which is the order of the fields.
        if "hex" not in answer:
            raise Wrong(f"cannot encode {api} v{version}: {answer}")
        return bytes.fromhex(answer["hex"])

    def decode(self, api, version, body):
        answer = self.codec.ask({"api": api, "kind": "response", "version": version, "hex": body.hex()})
        if "error" in answer or answer["rest"]:
            raise Wrong(f"the answer is no {api} v{version} response: {body.hex()[:200]}")
        records = iter(answer["records"])

        def place(value):
            if isinstance(value, dict):
                return {("records" if k == "recordsSizeInBytes" else k): (next(records) if k == "recordsSizeInBytes" else place(v)) for k, v in value.items()}
            return [place(v) for v in value] if isinstance(value, list) else value

        return place(answer["json"])

    def call(self, api, version, request):
        spec = self.codec.apis[api]
        body = self.encode(api, version, request)
        head = struct.pack(">hhi", spec["key"], version, 9) + b"\0\2tv" + (b"\0" if version >= spec["flexible"] else b"")
        self.admin.send(struct.pack(">i", len(head) + len(body)) + head + body)
        frame = self.admin.frame()
        if not frame:
            raise Wrong(f"{api}: no answer to the setup")
        return self.decode(api, version, frame[5 if version >= spec["flexible"] else 4:])

    def topic_id(self, name):
        answer = self.call("Metadata", 12, {"topics": [{"topicId": "A" * 22, "name": name}], "allowAutoTopicCreation": False, "includeTopicAuthorizedOperations": False})
        return answer["topics"][0]["topicId"]

    def setup(self, step):
        what = step["setup"]
        if what == "create topic":
            configs = [{"name": k, "value": v} for k, v in (step.get("configs") or {}).items()]
            answer = self.call("CreateTopics", 5, {"topics": [{"name": step["name"], "numPartitions": step["partitions"], "replicationFactor": 1, "assignments": [],
                                                               "configs": configs}], "timeoutMs": 10000, "validateOnly": False})
            if answer["topics"][0]["errorCode"] not in (0, 36):
                raise Wrong(f"setup: {answer}")
        elif what == "produce":
            answer = self.call("Produce", 9, {"transactionalId": None, "acks": -1, "timeoutMs": 5000, "topicData": [
                {"name": step["topic"], "partitionData": [{"index": step["partition"], "records": step["records"]}]}]})
            got = answer["responses"][0]["partitionResponses"][0]
            if got["errorCode"] or got["baseOffset"] != step["base_offset"]:
                raise Wrong(f"setup: produced at {got}, not at {step['base_offset']}")
        else:
            raise Wrong(f"an unknown setup: {what}")

    def close(self):
        self.admin.close()
        self.codec.close()


def run(files, only=None):
    areas, misses = {}, {}
    for path in files:
        with kafka_door.Door(program=programs.program("kafka_server")) as door:
            runner = Runner(door)
            for case in programs.lines(path):
                if only and not re.search(only, case["case"]):
                    continue
                area = areas.setdefault(case["case"].split("-")[0], [0, 0])
                area[1] += 1
                wrong = Case(runner, case).run()
                if door.process.poll() is not None:
                    raise SystemExit(f"the server died in {case['case']}: {door.words()[-3000:]}")
                if wrong:
                    misses[case["case"]] = wrong
                else:
                    area[0] += 1
            runner.close()
    return areas, misses
