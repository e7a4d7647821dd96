import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kafka_batches  # noqa: E402
import programs  # noqa: E402


def test_batches_are_read_written_and_refused_as_by_kafka():
    areas, misses = kafka_batches.run(programs.data("kafka/batches"))
    assert sum(total for _, total in areas.values()) > 150
    programs.check("kafka_batches", misses)
