"""Between Spark's values and the Python Cassandra driver's, by the rules of the Cassandra connector for Spark (and of src/stream/cells.c):
used where no connector exists (Spark 4). Types are CQL's texts, as "map<text, frozen<list<int>>>"."""
import datetime
import decimal
import uuid

EPOCH = datetime.datetime(1970, 1, 1)


def parse(text):
    """"map<text, int>" -> ("map", [("text", []), ("int", [])]); frozen<> is left out."""
    name, args, depth, start = text.strip(), [], 0, 0
    if "<" in name:
        name, inside = name.split("<", 1)
        inside = inside.rstrip()[:-1]
        for i, c in enumerate(inside + ","):
            depth += {"<": 1, ">": -1}.get(c, 0)
            if c == "," and depth == 0:
                args.append(parse(inside[start:i]))
                start = i + 1
    name = name.strip().lower()
    return args[0] if name == "frozen" else (name, args)


# ---- reading: the Spark type of a CQL type, as DDL text ----
SPARK = {"ascii": "STRING", "text": "STRING", "varchar": "STRING", "uuid": "STRING", "timeuuid": "STRING", "inet": "STRING", "bigint": "BIGINT",
         "counter": "BIGINT", "time": "BIGINT", "int": "INT", "smallint": "SMALLINT", "tinyint": "TINYINT", "boolean": "BOOLEAN", "double": "DOUBLE",
         "float": "FLOAT", "decimal": "DECIMAL(38,18)", "varint": "DECIMAL(38,0)", "blob": "BINARY", "timestamp": "TIMESTAMP", "date": "DATE"}


def spark_type(cql):
    name, args = cql
    if name in SPARK:
        return SPARK[name]
    if name in ("list", "set"):
        return "ARRAY<%s>" % spark_type(args[0])
    if name == "map":
        return "MAP<%s, %s>" % (spark_type(args[0]), spark_type(args[1]))
    if name == "tuple":
        return "STRUCT<%s>" % ", ".join("`%d`: %s" % (i, spark_type(a)) for i, a in enumerate(args))
    raise ValueError("Spark has no type for CQL's %s" % name)


def from_cassandra(cql):
    """A function that makes a value of the driver one of Spark."""
    name, args = cql
    if name in ("uuid", "timeuuid", "inet"):
        return str
    if name in ("decimal", "varint"):
        return decimal.Decimal
    if name == "time":
        return lambda v: v.nanosecond_time
    if name == "date":
        return lambda v: v.date()
    if name in ("list", "set"):
        item = optional(from_cassandra(args[0]))
        return lambda v: [item(x) for x in v]
    if name == "map":
        key, value = optional(from_cassandra(args[0])), optional(from_cassandra(args[1]))
        return lambda v: {key(k): value(x) for k, x in v.items()}
    if name == "tuple":
        parts = [optional(from_cassandra(a)) for a in args]
        return lambda v: tuple(p(x) for p, x in zip(parts, v))
    return lambda v: v


# ---- writing ----
def text(value):
    """As Java's toString says it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return java_double(value)
    if isinstance(value, (bytes, bytearray)):
        return "0x" + value.hex()
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    return str(value)


def java_double(v):
    if v != v or v in (float("inf"), float("-inf")):
        return "NaN" if v != v else "Infinity" if v > 0 else "-Infinity"
    if v == 0 or 1e-3 <= abs(v) < 1e7:
        return repr(v) if "e" not in repr(v) else "%.17g" % v
    sign, digits, exponent = decimal.Decimal(repr(v)).as_tuple()
    exponent += len(digits) - 1
    digits = "".join(map(str, digits)).rstrip("0")
    return "%s%s.%sE%d" % ("-" if sign else "", digits[0], digits[1:] or "0", exponent)


def milliseconds(value):
    if isinstance(value, datetime.datetime):
        if value.tzinfo:
            value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        return (value - EPOCH) // datetime.timedelta(milliseconds=1)
    if isinstance(value, datetime.date):
        return (value - EPOCH.date()).days * 86400000
    if isinstance(value, str):
        return milliseconds(datetime.datetime.fromisoformat(value.replace("Z", "+00:00")))
    return int(value)


def whole(value):
    return int(decimal.Decimal(value)) if isinstance(value, str) else int(value)


def boolean(value):
    return value.strip().lower() == "true" if isinstance(value, str) else bool(value)


def day(value):
    if isinstance(value, datetime.datetime):
        return value.date()
    return datetime.date.fromisoformat(value) if isinstance(value, str) else value


def blob(value):
    return bytes.fromhex(value[2:]) if isinstance(value, str) and value.startswith("0x") else value.encode() if isinstance(value, str) else bytes(value)


def as_uuid(value):
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)


WRITE = {"ascii": text, "text": text, "varchar": text, "uuid": as_uuid, "timeuuid": as_uuid, "inet": str, "bigint": whole, "counter": whole, "time": whole,
         "int": whole, "smallint": whole, "tinyint": whole, "boolean": boolean, "double": float, "float": float,
         "decimal": lambda v: v if isinstance(v, decimal.Decimal) else decimal.Decimal(str(v)), "varint": whole, "blob": blob, "timestamp": milliseconds,
         "date": day}


def optional(convert):
    return lambda v: None if v is None else convert(v)


def to_cassandra(cql):
    """A function that makes a value of Spark one of the driver, for a column of this type."""
    name, args = cql
    if name in WRITE:
        return optional(WRITE[name])
    if name in ("list", "set"):
        item, kind = to_cassandra(args[0]), list if name == "list" else set
        return optional(lambda v: kind(item(x) for x in v))
    if name == "map":
        key, value = to_cassandra(args[0]), to_cassandra(args[1])
        return optional(lambda v: {key(k): value(x) for k, x in v.items()})
    if name == "tuple":
        parts = [to_cassandra(a) for a in args]
        return optional(lambda v: tuple(p(x) for p, x in zip(parts, v)))
    return lambda v: v  # a user-defined type: the driver takes the row's fields in order
