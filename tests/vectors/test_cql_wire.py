import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cql_wire  # noqa: E402
import programs  # noqa: E402


def test_conversations_of_every_version():
    areas, misses = cql_wire.run(programs.data("cql/wire"))
    right, total = (sum(a[i] for a in areas.values()) for i in (0, 1))
    assert right >= 0.75 * total, f"{right}/{total}"
    programs.check("cql_wire", misses)
