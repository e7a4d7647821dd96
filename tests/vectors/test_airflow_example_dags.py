import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import airflow_example_dags  # noqa: E402
import programs  # noqa: E402


@pytest.mark.parametrize("version,least", [("2", 70), ("3", 110)])
def test_example_dags_have_the_same_shape(version, least):
    if airflow_example_dags.fetch(version) is None:
        pytest.skip("Airflow's wheels, which hold the DAG files, cannot be fetched here")
    areas, misses = airflow_example_dags.run(programs.data("airflow/example_dags_" + version))
    assert sum(total for _, total in areas.values()) >= least
    programs.check("airflow_example_dags_" + version, misses)
