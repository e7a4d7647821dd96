import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kafka_behaviour  # noqa: E402
import programs  # noqa: E402


def test_conversations_with_a_broker():
    areas, misses = kafka_behaviour.run(programs.data("kafka/behaviour"))
    right, total = (sum(a[i] for a in areas.values()) for i in (0, 1))
    assert total >= 150 and right * 2 > total
    programs.check("kafka_behaviour", misses)
