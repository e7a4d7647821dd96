import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cql_scenarios  # noqa: E402
import programs  # noqa: E402


def test_statements_are_answered_as_by_cassandra():
    areas, misses = cql_scenarios.run(programs.data("cql/scenarios"))
    assert sum(total for _, total in areas.values()) > 4000
    programs.check("cql_scenarios", misses)
