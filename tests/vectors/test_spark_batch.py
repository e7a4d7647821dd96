import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import programs  # noqa: E402
import spark_batch  # noqa: E402


def test_queries_are_answered_as_by_spark_4():
    files = [f for f in programs.data("spark/batch") if "batch-4.3" in f]
    areas, misses = spark_batch.run(files)
    right, total = (sum(a[i] for a in areas.values()) for i in (0, 1))
    assert total > 2900
    assert right / total > 0.95
    programs.check("spark_batch_4_3", misses)


def test_queries_are_answered_as_by_spark_3():
    files = [f for f in programs.data("spark/batch") if "batch-3.5" in f]
    areas, misses = spark_batch.run(files)
    assert sum(total for _, total in areas.values()) > 2900
    programs.check("spark_batch_3_5", misses)
