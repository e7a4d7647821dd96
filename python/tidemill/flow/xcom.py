"""XCom values as JSON: what JSON has not, is wrapped as {"__type": name, "__value": …}."""
import datetime as dt

from tidemill.flow import clock


def encode(value):
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, dict):
        plain = all(isinstance(k, str) for k in value)
        if plain and "__type" not in value:
            return {str.__str__(k): encode(v) for k, v in value.items()}
        return {"__type": "dict", "__value": [[encode(k), encode(v)] for k, v in value.items()]}
    if isinstance(value, list):
        return [encode(v) for v in value]
    if isinstance(value, (tuple, set, frozenset)):
        return {"__type": type(value).__name__ if type(value) in (tuple, set, frozenset) else "tuple", "__value": [encode(v) for v in value]}
    if isinstance(value, dt.datetime):
        return {"__type": "datetime", "__value": value.isoformat()}
    if isinstance(value, dt.date):
        return {"__type": "date", "__value": value.isoformat()}
    if isinstance(value, dt.timedelta):
        return {"__type": "timedelta", "__value": value.total_seconds()}
    kind = f"{type(value).__module__}.{type(value).__name__}"
    if kind in ("decimal.Decimal", "uuid.UUID"):
        return {"__type": type(value).__name__.lower(), "__value": str(value)}
    import base64
    import pickle
    if isinstance(value, (bytes, bytearray)):
        return {"__type": "bytes", "__value": base64.b64encode(value).decode()}
    if type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return encode(value.item())
    if hasattr(value, "__iter__") and type(value).__name__ in ("LazyXComSequence", "map", "filter", "generator", "dict_keys", "dict_values", "range"):
        return [encode(v) for v in value]
    try:
        return {"__type": "pickle", "__class": f"{type(value).__module__}.{type(value).__qualname__}", "__value": base64.b64encode(pickle.dumps(value)).decode()}
    except Exception as e:
        raise TypeError(f"cannot serialize object of type {type(value)}: XCom values must be JSON-like or picklable ({e})") from None


def decode(value):
    if isinstance(value, list):
        return [decode(v) for v in value]
    if not isinstance(value, dict):
        return value
    kind, inner = value.get("__type"), value.get("__value")
    if kind is None:
        return {k: decode(v) for k, v in value.items()}
    if kind in ("tuple", "set", "frozenset"):
        return {"tuple": tuple, "set": set, "frozenset": frozenset}[kind](decode(v) for v in inner)
    if kind == "dict":
        return {decode(k): decode(v) for k, v in inner}
    if kind == "datetime":
        return clock.DateTime.of(dt.datetime.fromisoformat(inner))
    if kind == "date":
        return dt.date.fromisoformat(inner)
    if kind == "timedelta":
        return dt.timedelta(seconds=inner)
    if kind == "decimal":
        import decimal
        return decimal.Decimal(inner)
    if kind == "uuid":
        import uuid
        return uuid.UUID(inner)
    import base64
    import pickle
    if kind == "bytes":
        return base64.b64decode(inner)
    if kind == "pickle":
        return pickle.loads(base64.b64decode(inner))
    return value
