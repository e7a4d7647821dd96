"""cql/scenarios: CQL statements with Cassandra 5.0.9's answers, run in order over a store in memory."""
import datetime
import decimal
import ipaddress
import json
import os
import re
import struct
import uuid

import programs

LEVELS = ["ANY", "ONE", "TWO", "THREE", "QUORUM", "ALL", "LOCAL_QUORUM", "EACH_QUORUM", "SERIAL", "LOCAL_SERIAL", "LOCAL_ONE"]


class Engine(programs.Filter):
    def ask(self, *fields):
        return super().ask("\t".join(fields))


# ---- types and values of bound parameters ----
def split_args(text):
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += c in "<(" and 1 or 0
        depth -= c in ">)" and 1 or 0
        if c == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    return parts + [text[start:].strip()]


def items(pairs):
    return b"".join(struct.pack(">i", -1) if v is None else struct.pack(">i", len(v)) + v for v in pairs)


def varint(n):
    return n.to_bytes((n if n >= 0 else ~n).bit_length() // 8 + 1, "big", signed=True)


def vint(n):
    extra = max(0, (n.bit_length() - 1) // 7)
    if extra >= 8:
        return b"\xff" + n.to_bytes(8, "big")
    raw = n.to_bytes(extra + 1, "big")
    return bytes([raw[0] | (0xFF00 >> extra) & 0xFF]) + raw[1:]


FIXED = {"boolean": 1, "int": 4, "float": 4, "bigint": 8, "double": 8, "timestamp": 8, "uuid": 16, "timeuuid": 16}
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def simple(t, v):
    if t in ("tinyint", "smallint", "int", "bigint", "counter"):
        return struct.pack({"tinyint": ">b", "smallint": ">h", "int": ">i"}.get(t, ">q"), int(v))
    if t in ("float", "double"):
        return struct.pack(">f" if t == "float" else ">d", float(v))
    if t in ("text", "ascii", "varchar"):
        return v.encode()
    if t == "boolean":
        return b"\1" if v else b"\0"
    if t == "varint":
        return varint(int(v))
    if t == "decimal":
        sign, digits, exponent = decimal.Decimal(v).as_tuple()
        n = int("".join(map(str, digits)))
        return struct.pack(">i", -exponent) + varint(-n if sign else n)
    if t in ("uuid", "timeuuid"):
        return uuid.UUID(v).bytes
    if t == "inet":
        return ipaddress.ip_address(v).packed
    if t == "blob":
        return bytes.fromhex(v[2:])
    if t == "timestamp":
        if v.startswith("ms:"):
            return struct.pack(">q", int(v[3:]))
        moment = datetime.datetime.strptime(v, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc)
        return struct.pack(">q", (moment - EPOCH) // datetime.timedelta(milliseconds=1))
    if t == "date":
        days = int(v[5:]) if v.startswith("days:") else (datetime.date.fromisoformat(v) - datetime.date(1970, 1, 1)).days
        return struct.pack(">I", days + (1 << 31))
    if t == "time":
        h, m, s = v.split(":")
        whole, _, frac = s.partition(".")
        return struct.pack(">q", ((int(h) * 60 + int(m)) * 60 + int(whole)) * 10**9 + int((frac + "0" * 9)[:9]))
    if t == "duration":
        months, days, nanos = map(int, re.fullmatch(r"(-?\d+)mo(-?\d+)d(-?\d+)ns", v).groups())
        return b"".join(vint((n << 1) ^ (n >> 63) & 0xFFFFFFFFFFFFFFFF) for n in (months, days, nanos))
    raise ValueError(t)


def serialised(t, v):
    if isinstance(v, dict) and "hex" in v:
        return bytes.fromhex(v["hex"])
    if isinstance(v, dict) and v.get("empty"):
        return b""
    kind, _, rest = t.partition("<")
    rest = rest[:-1]
    if kind in ("list", "set"):
        return struct.pack(">i", len(v)) + items(None if x is None else serialised(rest, x) for x in v)
    if kind == "map":
        kt, vt = split_args(rest)
        return struct.pack(">i", len(v)) + items(x for k, w in v for x in (serialised(kt, k), None if w is None else serialised(vt, w)))
    if kind == "tuple":
        return items(None if x is None else serialised(f, x) for f, x in zip(split_args(rest), v))
    if kind == "vector":
        item = split_args(rest)[0]
        parts = [serialised(item, x) for x in v]
        return b"".join(p if item in FIXED else vint(len(p)) + p for p in parts)
    if t.startswith("udt "):
        fields = [f.split(" ", 1) for f in split_args(t[t.index("(") + 1:-1])]
        return items(None if v.get(n) is None else serialised(f, v[n]) for n, f in fields)
    return simple(t, v)


def field(t, v):
    if v is None:
        return "null"
    if isinstance(v, dict) and v.get("unset"):
        return "unset"
    return serialised(t, v).hex()


# ---- comparing ----
def same(got, want):
    if want == "<any>":
        return True
    if isinstance(want, list):
        return isinstance(got, list) and len(got) == len(want) and all(map(same, got, want))
    if isinstance(want, dict):
        return isinstance(got, dict) and list(got) == list(want) and all(same(got[k], want[k]) for k in want)
    if isinstance(want, float) or isinstance(got, float):
        return type(got) in (int, float) and type(want) in (int, float) and got == want and str(float(got)) == str(float(want))
    return type(got) is type(want) and got == want


def wrong_result(got, want):
    if "error" in want:
        code = got.get("error", {}).get("code")
        if code is None:
            return f"not refused ({want['error']['code']} {want['error']['message'][:100]})"
        return None if code.lower() == want["error"]["code"].lower() else f"refused with {code} ({got['error']['message'][:80]}), not {want['error']['code']} ({want['error']['message'][:80]})"
    if "error" in got:
        return f"refused: {got['error']['code']} {got['error']['message'][:160]}"
    result = want.get("result")
    if result == "void":
        return None if got["kind"] == "void" else f"{got['kind']}, not void"
    if "keyspace" in result:
        return None if got.get("keyspace") == result["keyspace"] else "another keyspace"
    if "schema_change" in result:
        return None if got.get("schema_change") == result["schema_change"] else f"{got.get('schema_change')}, not {result['schema_change']}"
    if "prepared" in result:
        p = result["prepared"]
        if not same(got.get("bind"), p["bind"]):
            return f"markers {got.get('bind')}, not {p['bind']}"
        if got.get("pk") != p["pk_indexes"]:
            return f"key markers {got.get('pk')}, not {p['pk_indexes']}"
        return None if same(got.get("prepared_columns"), p.get("columns") or []) else f"columns {got.get('prepared_columns')}, not {p['columns']}"
    if not same(got.get("columns"), result["columns"]):
        return f"columns {got.get('columns')}, not {result['columns']}"
    if not same(got["rows"], result["rows"]):
        return f"rows {json.dumps(got['rows'])[:300]}, not {json.dumps(result['rows'])[:300]}"
    if "rows_hex" in result:
        flat = [c for row in result["rows_hex"] for c in row]
        if not same(got["hex"], flat):
            return f"bytes {str(got['hex'])[:200]}, not {str(flat)[:200]}"
    if bool(result.get("more_pages")) != got.get("more", False):
        return "more pages" if got.get("more") else "no more pages"
    return None


def run_file(engine, path, areas, misses, texts):
    name = os.path.basename(path).split(".")[0]
    engine.ask("reset")
    count = areas.setdefault(name, [0, 0])
    for number, case in enumerate(programs.lines(path)):
        if "cql" not in case:
            continue
        mode, values = "q", []
        if case.get("prepare"):
            mode = "p"
        elif "params" in case:
            mode = "e"
            values = [field(t, v) for (_, t), v in zip(case["bind"], case["params"])]
        options = [str(LEVELS.index(case.get("consistency", "ONE"))), str(case.get("timestamp", "-")), str(case.get("now_in_seconds", "-")), str(case.get("page_size", "-")),
                   "1" if case.get("paging") else "0", case.get("keyspace", "-")]
        got = engine.ask(mode, *options, case["cql"].encode().hex(), *values)
        wrong = wrong_result(got, case)
        if wrong is None and mode == "e" and "error" not in got:
            if not same(got["bind"], case["bind"]):
                wrong = f"markers {got['bind']}, not {case['bind']}"
            elif got["pk"] != case.get("pk_indexes", []):
                wrong = f"key markers {got['pk']}, not {case.get('pk_indexes')}"
        count[1] += 1
        count[0] += wrong is None
        if wrong is not None:
            misses[f"{name}:{number}"] = f"{wrong}   [{case['cql'][:160]}]"
        elif "error" in case:
            right = got["error"]["message"] == case["error"]["message"] or "<any>" in case["error"]["message"]
            texts[0] += right
            texts[1] += 1
            if not right and os.environ.get("TM_TEXTS"):
                print(f"text: {name}:{number}\t{got['error']['message'][:150]}\n   not: {case['error']['message'][:150]}   [{case['cql'][:120]}]")
        if case.get("wait_after_s"):
            engine.ask("wait", str(int(case["wait_after_s"] * 1000000)))


def run(files):
    engine, areas, misses, texts = Engine("cql_vectors"), {}, {}, [0, 0]
    for path in files:
        run_file(engine, path, areas, misses, texts)
    engine.close()
    print(f"error texts: {texts[0]}/{texts[1]}")
    return areas, misses
