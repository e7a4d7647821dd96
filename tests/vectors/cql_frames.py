"""The native protocol's bytes, as far as the wire vectors need them: segments, lz4 blocks, answers to plain values."""
import struct
import zlib


class Closed(Exception):
    """The server ended the connection."""


def crc24(data):
    crc = 0x875060
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1974F0B
    return crc & 0xFFFFFF


def crc32(data):
    return zlib.crc32(data, zlib.crc32(b"\xfa\x2d\x55\xca")) & 0xFFFFFFFF


def segment(payload, self_contained=True):
    head = (len(payload) | (self_contained << 17)).to_bytes(3, "little")
    return head + crc24(head).to_bytes(3, "little") + payload + crc32(payload).to_bytes(4, "little")


def segments_of(data, lz4=False):
    """The payloads of whole segments, their self-contained bits, and what is left over."""
    out, head = [], 5 if lz4 else 3
    while len(data) >= head + 3:
        bits = int.from_bytes(data[:head], "little")
        size, plain = bits & 0x1FFFF, (bits >> 17) & 0x1FFFF if lz4 else 0
        if len(data) < head + 3 + size + 4:
            break
        payload = data[head + 3:head + 3 + size]
        assert int.from_bytes(data[head:head + 3], "little") == crc24(data[:head]), "crc24"
        assert int.from_bytes(data[head + 3 + size:head + 7 + size], "little") == crc32(payload), "crc32"
        out.append((lz4_block(payload, plain) if plain else payload, bool(bits >> (34 if lz4 else 17) & 1)))
        data = data[head + 7 + size:]
    return out, data


def lz4_block(data, size):
    out, at = bytearray(), 0
    while at < len(data):
        token, at = data[at], at + 1
        literals = token >> 4
        if literals == 15:
            while True:
                literals, at = literals + data[at], at + 1
                if data[at - 1] != 255:
                    break
        out += data[at:at + literals]
        at += literals
        if at >= len(data):
            break
        offset, at = data[at] | data[at + 1] << 8, at + 2
        length = token & 15
        if length == 15:
            while True:
                length, at = length + data[at], at + 1
                if data[at - 1] != 255:
                    break
        for _ in range(length + 4):
            out.append(out[-offset])
    assert len(out) == size, "lz4 length"
    return bytes(out)


class Body:
    """A reader of the protocol's notations."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        piece = self.data[self.at:self.at + n]
        assert len(piece) == n, "the body is too short"
        self.at += n
        return piece

    def num(self, fmt):
        return struct.unpack(">" + fmt, self.take(struct.calcsize(fmt)))[0]

    def string(self):
        return self.take(self.num("H")).decode()

    def value(self):
        n = self.num("i")
        return None if n < 0 else self.take(n).hex()

    def type(self):
        code = self.num("H")
        if code == 0:
            return self.string()
        if code in (0x20, 0x22):
            return [code, self.type()]
        if code == 0x21:
            return [code, self.type(), self.type()]
        if code == 0x30:
            return [code, self.string(), self.string(), [[self.string(), self.type()] for _ in range(self.num("H"))]]
        if code == 0x31:
            return [code] + [self.type() for _ in range(self.num("H"))]
        return code

    def columns(self, count, flags):
        table = [self.string(), self.string()] if flags & 1 else None
        return [[table or [self.string(), self.string()], self.string(), self.type()] for _ in range(count)]


ERROR_FIELDS = {0x1000: "Hii", 0x1100: "Hiis", 0x1200: "Hiib", 0x1400: "ssl", 0x2400: "ss", 0x2500: "s"}


def error(b):
    out = {"code": b.num("i"), "message": b.string(), "fields": []}
    for kind in ERROR_FIELDS.get(out["code"], ""):
        if kind == "s":
            out["fields"].append(b.take(b.num("H")).hex())
        elif kind == "l":
            out["fields"].append([b.string() for _ in range(b.num("H"))])
        else:
            out["fields"].append(b.num(kind))
    return out


def result(b, version):
    kind = b.num("i")
    if kind == 2:
        out = {"flags": b.num("i"), "count": b.num("i")}
        if out["flags"] & 2:
            out["paging_state"] = b.value()
        if out["flags"] & 8:
            out["metadata_id"] = b.take(b.num("H")).hex()
        if not out["flags"] & 4:
            out["columns"] = b.columns(out["count"], out["flags"])
        out["rows"] = [[b.value() for _ in range(out["count"])] for _ in range(b.num("i"))]
        return {"rows": out}
    if kind == 3:
        return {"keyspace": b.string()}
    if kind == 4:
        out = {"id": b.take(b.num("H")).hex()}
        if version >= 5:
            out["metadata_id"] = b.take(b.num("H")).hex()
        out["flags"], count = b.num("i"), b.num("i")
        if version >= 4:
            out["keys"] = [b.num("H") for _ in range(b.num("i"))]
        out["markers"] = b.columns(count, out["flags"])
        out["result_flags"], count = b.num("i"), b.num("i")
        out["columns"] = None if out["result_flags"] & 4 else b.columns(count, out["result_flags"])
        return {"prepared": out}
    if kind == 5:
        return {"change": [b.string() for _ in range(3)], "rest": b.data[b.at:].hex()}
    return {"kind": kind}


class Envelope:
    """One message of the server, taken apart."""

    def __init__(self, header, body, lz4=False):
        self.version, self.flags, self.stream, self.opcode, self.length = struct.unpack(">BBhBI", header)
        if self.flags & 1 and lz4:
            body = lz4_block(body[4:], struct.unpack(">I", body[:4])[0])
        b, self.tracing, self.warnings = Body(body), None, None
        if self.flags & 2:
            self.tracing = b.take(16).hex()
        if self.flags & 8:
            self.warnings = [b.string() for _ in range(b.num("H"))]
        if self.opcode == 0:
            self.content = error(b)
        elif self.opcode == 8:
            self.content = result(b, self.version & 0x7F)
        elif self.opcode == 6:
            self.content = {b.string(): [b.string() for _ in range(b.num("H"))] for _ in range(b.num("H"))}
        else:
            self.content = b.data[b.at:].hex()
