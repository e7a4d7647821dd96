import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import airflow_templates  # noqa: E402
import programs  # noqa: E402


def test_templates_render_the_same():
    areas, misses = airflow_templates.run(programs.data("airflow/templates"))
    assert sum(total for _, total in areas.values()) > 2800
    programs.check("airflow_templates", misses)
