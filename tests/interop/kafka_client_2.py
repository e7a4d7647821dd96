"""One conversation of kafka-python 2.0.2 or 3.x with a door: the same file for both. usage: kafka_client_2.py PHASE ADDRESS [ARGS]"""
import json
import sys
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

CODECS = [None, "gzip", "snappy", "lz4", "zstd"]


def produce(address):
    admin = KafkaAdminClient(bootstrap_servers=address)
    admin.create_topics([NewTopic(name="made", num_partitions=3, replication_factor=1)])
    print(sorted(t for t in admin.list_topics() if not t.startswith("__")))
    for codec in CODECS:
        producer = KafkaProducer(bootstrap_servers=address, compression_type=codec, acks="all", linger_ms=5)
        futures = [producer.send("auto-" + str(codec), key=b"k%d" % i, value=b"v%d" % i + b"x" * 100, headers=[("h", b"\x00\xff"), ("n", str(i).encode())])
                   for i in range(200)]
        offsets = [f.get(timeout=20).offset for f in futures]
        assert offsets == list(range(200)), offsets
        producer.close()
    producer = KafkaProducer(bootstrap_servers=address)
    for i in range(300):
        producer.send("made", key=str(i).encode(), value=json.dumps({"n": i}).encode(), partition=i % 3)
    producer.flush()
    producer.close()
    admin.close()


def consume(address):
    for codec in CODECS:
        consumer = KafkaConsumer("auto-" + str(codec), bootstrap_servers=address, auto_offset_reset="earliest", consumer_timeout_ms=15000, group_id=None)
        seen = []
        for record in consumer:
            seen.append(record)
            if len(seen) == 200:
                break
        assert [r.offset for r in seen] == list(range(200)), (codec, len(seen))
        assert all(r.key == b"k%d" % i and r.value == b"v%d" % i + b"x" * 100 for i, r in enumerate(seen)), codec
        assert seen[7].headers == [("h", b"\x00\xff"), ("n", b"7")], seen[7].headers
        consumer.close()
    print("consumed")


def group(address, name, total, stop_after):
    """Reads until told by the topic's end; prints each record's partition and offset when its offset is committed."""
    consumer = KafkaConsumer("made", bootstrap_servers=address, group_id=name, auto_offset_reset="earliest", enable_auto_commit=False,
                             session_timeout_ms=6000, heartbeat_interval_ms=500, max_poll_records=7)
    count, idle_since = 0, time.monotonic()
    while time.monotonic() - idle_since < float(stop_after):
        batch = consumer.poll(timeout_ms=300)
        records = [r for rs in batch.values() for r in rs]
        if not records:
            continue
        idle_since = time.monotonic()
        try:
            consumer.commit()
        except Exception as e:  # the group went on without us: the records come again elsewhere
            print("not committed:", type(e).__name__, flush=True)
            continue
        for r in records:
            print("got", r.partition, r.offset, flush=True)
        count += len(records)
        time.sleep(0.05)
    consumer.close()
    print("done", count, total)


def committed(address, name):
    consumer = KafkaConsumer(bootstrap_servers=address, group_id=name, enable_auto_commit=False)
    print([consumer.committed(TopicPartition("made", p)) for p in range(3)])
    consumer.close()


def old(address):
    """The protocol of brokers long gone: message formats 0 and 1, Produce 0 to 2, Fetch 0 to 3."""
    for version in [(0, 8, 2), (0, 9), (0, 10), (0, 10, 1), (0, 11), (1, 0, 0), (2, 0, 0)]:
        for codec in [None, "gzip", "snappy"] + (["lz4"] if version >= (0, 10) else []):
            topic = f"old-{'.'.join(map(str, version))}-{codec}"
            producer = KafkaProducer(bootstrap_servers=address, api_version=version, compression_type=codec, linger_ms=20)
            futures = [producer.send(topic, key=b"k%d" % i, value=b"v%d" % i + b"x" * 50) for i in range(50)]
            assert [f.get(10).offset for f in futures] == list(range(50))
            producer.close()
            consumer = KafkaConsumer(topic, bootstrap_servers=address, api_version=version, auto_offset_reset="earliest", consumer_timeout_ms=10000, group_id=None)
            seen = []
            for record in consumer:
                seen.append((record.offset, record.key, record.value))
                if len(seen) == 50:
                    break
            consumer.close()
            assert seen == [(i, b"k%d" % i, b"v%d" % i + b"x" * 50) for i in range(50)], (version, codec, len(seen))
    print("old")


if __name__ == "__main__":
    {"old": old, "produce": produce, "consume": consume, "group": group, "committed": committed}[sys.argv[1]](*sys.argv[2:])
