"""The input of the pipeline with every operator: events(n) gives (topic, key, value, milliseconds), the same at every call.

Orders arrive within two minutes of their order in time, so no watermark of the pipeline drops one; every seventh comes twice (with a quantity of 0, which
keeps it out of the table with a list: a list that is written twice at one timestamp has its elements twice, in Cassandra and here); some fields are null,
some records are no JSON. The last order is a day later, so that every window, session and join of what matters is closed by it.
"""
import json
import random
import uuid

START = 1_790_000_000_000  # 2026-09-21 14:13:20 UTC
ITEMS = ["anvil", "bell", "chain", "drum", "Ängstrom ⚙"]


def text(ms):
    import datetime
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (ms % 1000)


def order(random, i, ms):
    return {
        "id": i, "customer": str(uuid.UUID(int=random.randrange(1, 40) * 2 ** 77 + 5)), "shop": random.choice(["north", "south", "east"]), "item": random.choice(ITEMS),
        "quantity": random.randrange(0, 9), "price": round(random.randrange(1, 10000) / 100, 2), "ratio": random.randrange(1, 64) / 16, "gift": random.choice([True, False, None]),
        "due": "2026-%02d-%02d" % (random.randrange(1, 13), random.randrange(1, 29)), "at": text(ms), "note": random.choice([None, "", "fragile", "día \"q\"", "a\nb\t\\"]),
        "tags": random.choice([None, [], ["x"], ["y", "x", "y"]]), "options": random.choice([None, {}, {"a": 1}, {"b": 2, "c": None}]),
        "delivery": random.choice([None, {"street": "Quay", "number": 7}, {"street": "Mole"}]),
    }


def events(n=400):
    rng = random.Random(4)
    out = []
    for i in range(n):
        ms = START + i * 17_000 + rng.randrange(0, 120_000)
        o = order(rng, i, ms)
        if i % 7 == 0:
            o["quantity"] = 0
        record = json.dumps(o, ensure_ascii=False)
        out.append(("orders", None, record, ms))
        if i % 7 == 0:
            out.append(("orders", None, record, ms))
        if i % 50 == 3:
            out.append(("orders", None, rng.choice(["not json", "{", "[]", "null", '{"id": "x"}']), ms))
        if i % 5 == 0:
            out.append(("mail_orders", None, json.dumps({"id": i, "item": rng.choice(ITEMS), "price": rng.randrange(100, 9000) / 100}), ms))
        if i % 3:
            # Some pay at once, some after more than an hour.
            paid = ms + rng.choice([0, 1_000, 600_000, 3_600_000, 3_601_000])
            out.append(("payments", None, json.dumps({"payment": 10_000 + i, "id": i, "amount": o["price"], "paid": text(paid)}), ms))
    end = START + n * 17_000 + 86_400_000
    out.append(("orders", None, json.dumps(dict(order(rng, n, end), quantity=1, item="anvil")), end))
    out.append(("payments", None, json.dumps({"payment": 10_000 + n, "id": n, "amount": 1, "paid": text(end)}), end))
    return out
