import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import airflow_rules  # noqa: E402
import programs  # noqa: E402


@pytest.mark.parametrize("name,least", [("cron", 1200), ("timetables", 340), ("trigger_rules", 3200), ("retry", 5200)])
def test_airflow_decides_the_same(name, least):
    areas, misses = getattr(airflow_rules, "run_" + name)(programs.data("airflow/" + name))
    assert sum(total for _, total in areas.values()) >= least
    programs.check("airflow_" + name, misses)
