"""One conversation of confluent-kafka (librdkafka) with a door. usage: confluent_client.py PHASE ADDRESS [ARGS]"""
import sys
import time

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def produce(address):
    admin = AdminClient({"bootstrap.servers": address})
    for future in admin.create_topics([NewTopic("made", 3, 1, config={"retention.ms": "123456"})]).values():
        future.result(20)
    resource = ConfigResource(ResourceType.TOPIC, "made")
    configs = admin.describe_configs([resource])[resource].result(20)
    assert configs["retention.ms"].value == "123456", configs["retention.ms"]
    for codec in CODECS:
        for idempotent in (False, True):
            errors, done = [], []
            producer = Producer({"bootstrap.servers": address, "compression.type": codec, "enable.idempotence": idempotent, "acks": "all", "linger.ms": 5})
            for i in range(200):
                producer.produce(f"auto-{codec}", key=b"k%d" % i, value=b"v%d" % i + b"x" * 100, headers=[("h", b"\x00\xff"), ("n", None)],
                                 on_delivery=lambda e, m: (errors if e else done).append(e or m.offset()))
            assert producer.flush(30) == 0 and not errors, errors
            assert len(done) == 200
    producer = Producer({"bootstrap.servers": address})
    for i in range(300):
        producer.produce("made", key=str(i).encode(), value=str(i).encode(), partition=i % 3)
    assert producer.flush(30) == 0
    print(sorted(t for t in admin.list_topics(timeout=20).topics if not t.startswith("__")))


def values_to_end(consumer, topic, strict=True):
    """What a topic holds up to its end, for a consumer that is told of the end; other errors are passed over where not strict."""
    consumer.subscribe([topic])
    values, end = [], time.monotonic() + 30
    while time.monotonic() < end:
        m = consumer.poll(1)
        if m is None:
            continue
        if not m.error():
            values.append(m.value().decode())
        elif m.error().code() == KafkaError._PARTITION_EOF:
            break
        else:
            assert not strict, m.error()
    return values


def consume(address):
    for codec in CODECS:
        consumer = Consumer({"bootstrap.servers": address, "group.id": f"all-{codec}-{time.time()}", "auto.offset.reset": "earliest", "check.crcs": True})
        consumer.subscribe([f"auto-{codec}"])
        seen, end = [], time.monotonic() + 30
        while len(seen) < 400 and time.monotonic() < end:
            m = consumer.poll(1)
            if m is None:
                continue
            assert not m.error(), m.error()
            seen.append(m)
        assert [m.offset() for m in seen] == list(range(400)), (codec, len(seen))
        assert all(m.value() == b"v%d" % (i % 200) + b"x" * 100 for i, m in enumerate(seen))
        assert seen[3].headers() == [("h", b"\x00\xff"), ("n", None)], seen[3].headers()
        consumer.close()
    print("consumed")


def group(address, name, total, stop_after):
    consumer = Consumer({"bootstrap.servers": address, "group.id": name, "auto.offset.reset": "earliest", "enable.auto.commit": False,
                         "session.timeout.ms": 6000, "heartbeat.interval.ms": 500})
    consumer.subscribe(["made"])
    count, idle_since = 0, time.monotonic()
    while time.monotonic() - idle_since < float(stop_after):
        records = consumer.consume(7, 0.3)
        records = [m for m in records if not m.error()]
        if not records:
            continue
        idle_since = time.monotonic()
        try:
            consumer.commit(asynchronous=False)
        except Exception as e:
            print("not committed:", e, flush=True)
            continue
        for m in records:
            print("got", m.partition(), m.offset(), flush=True)
        count += len(records)
        time.sleep(0.05)
    consumer.close()
    print("done", count, total)


def committed(address, name):
    consumer = Consumer({"bootstrap.servers": address, "group.id": name})
    print([t.offset for t in consumer.committed([TopicPartition("made", p) for p in range(3)], timeout=20)])
    consumer.close()


def transactions(address):
    """A committed and an aborted transaction, read committed; offsets within a transaction."""
    producer = Producer({"bootstrap.servers": address, "transactional.id": "tx-1"})
    producer.init_transactions(20)
    for i, end in enumerate(["commit", "abort", "commit"]):
        producer.begin_transaction()
        for k in range(10):
            producer.produce("tx-topic", value=f"{i}-{k}".encode())
        producer.flush()
        producer.commit_transaction(20) if end == "commit" else producer.abort_transaction(20)
    consumer = Consumer({"bootstrap.servers": address, "group.id": "tx-g", "auto.offset.reset": "earliest", "isolation.level": "read_committed",
                         "enable.partition.eof": True, "enable.auto.commit": False})
    seen = values_to_end(consumer, "tx-topic")
    assert seen == [f"{i}-{k}" for i in (0, 2) for k in range(10)], seen
    producer.begin_transaction()
    producer.produce("tx-topic", value=b"last")
    producer.send_offsets_to_transaction(consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), 20)
    producer.commit_transaction(20)
    offsets = consumer.committed(consumer.assignment(), timeout=20)
    assert offsets[0].offset == consumer.position(consumer.assignment())[0].offset, offsets
    consumer.close()
    print("transactions", offsets[0].offset)


def through_kills(address, count):
    """An idempotent producer that goes on while its broker is killed: prints the numbers that were acknowledged."""
    producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 2, "batch.num.messages": 50, "reconnect.backoff.max.ms": 200,
                         "message.timeout.ms": 60000, "topic.metadata.refresh.interval.ms": 1000})
    acknowledged = []

    def delivered(error, message):
        if not error:
            acknowledged.append(int(message.value()))

    for i in range(int(count)):
        producer.produce("kills", value=str(i).encode(), partition=0, on_delivery=delivered)
        producer.poll(0.001 if i % 10 == 0 else 0)
    producer.flush(60)
    print("acknowledged", len(acknowledged), len(set(acknowledged)))
    consumer = Consumer({"bootstrap.servers": address, "group.id": "kills", "auto.offset.reset": "earliest", "enable.partition.eof": True})
    seen = [int(v) for v in values_to_end(consumer, "kills", strict=False)]
    consumer.close()
    lost = set(acknowledged) - set(seen)
    print("lost", len(lost), "twice", len(seen) - len(set(seen)), "in order", seen == sorted(seen))


if __name__ == "__main__":
    {"through_kills": through_kills, "produce": produce, "consume": consume, "group": group, "committed": committed, "transactions": transactions}[sys.argv[1]](*sys.argv[2:])
