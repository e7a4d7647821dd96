import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import programs  # noqa: E402
import spark_streaming  # noqa: E402


def test_streams_answer_batch_by_batch_as_spark():
    areas, misses = spark_streaming.run(programs.data("spark/streaming"))
    assert sum(total for _, total in areas.values()) > 600
    programs.check("spark_streaming", misses)


def test_the_same_when_queries_die_at_random_points(monkeypatch):
    _, clean = spark_streaming.run(programs.data("spark/streaming"))
    monkeypatch.setenv("KILL", "1")
    _, killed = spark_streaming.run(programs.data("spark/streaming"))
    # What asks for the clock may pass or fail by chance; all else must not tell a killed run from a clean one.
    assert {k for k in killed if not k.startswith("now/")} == {k for k in clean if not k.startswith("now/")}
