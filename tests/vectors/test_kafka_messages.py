import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kafka_messages  # noqa: E402
import programs  # noqa: E402


def test_every_message_of_every_version():
    areas, misses = kafka_messages.run(programs.data("kafka/messages"))
    assert sum(total for _, total in areas.values()) > 1500
    programs.check("kafka_messages", misses)
