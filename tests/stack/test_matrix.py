"""The matrix: the three pipelines over {Tidemill's log, Kafka 3.9, Kafka 4.3} × {Tidemill's engine, Spark 3.5, Spark 4.3} × {Tidemill's tables, Cassandra 5.0}.

Every cell gets the same records; its tables and topics are compared row for row and type for type with those of the cell in which nothing is ours (Kafka 4.3,
Spark 4.3, Cassandra 5.0). TM_MATRIX_KEEP=DIR keeps the answers of cells there and takes
those that it finds, for a run that goes on where another was stopped. Doubles may be 8 units in the last place apart, where the order of additions is free; all else is equal or the cell is wrong.
"""
import os
import pickle
import sys
import uuid

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cells import PROJECTS, Cell, Topics, count, differences  # noqa: E402

PIPELINES = os.environ.get("TM_PIPELINES", ",".join(PROJECTS)).split(",")
BROKERS = {"log": "Tidemill's log", "kafka39": "Kafka 3.9", "kafka4": "Kafka 4.3"}
STORES = {"tables": "Tidemill's tables", "cassandra": "Cassandra 5.0"}
ENGINES = {"engine": "Tidemill's engine", "spark35": "Spark 3.5", "spark43": "Spark 4.3"}
REFERENCE = ("kafka4", "spark43", "cassandra")  # nothing of ours

results = {}  # (pipeline, broker, engine, store): text of the cell
answers = {}  # (broker, engine, store): {pipeline: {table: Answer}}


def run(request, tmp_path_factory, names):
    """The answers of a cell, run once."""
    kept = os.path.join(os.environ["TM_MATRIX_KEEP"], "-".join(names)) if "TM_MATRIX_KEEP" in os.environ else None
    if kept and os.path.exists(kept):
        with open(kept, "rb") as f:
            answers[names] = pickle.load(f)
    if names not in answers:
        broker, engine, store = (request.getfixturevalue(n) if n in ("kafka39", "kafka4", "cassandra", "spark35", "spark43") else None for n in names)
        tools = request.getfixturevalue("spark35")  # its Python has a client that makes topics
        cell = Cell(tmp_path_factory.mktemp("-".join(names)), "stack_%s_" % uuid.uuid4().hex[:6], PIPELINES, broker=broker, store=store,
                    engine="local[2]?python=%s&jars=%s" % (engine.python, ",".join(engine.jars)) if engine else None, topics=lambda b: Topics(tools.python, b))
        try:
            answers[names] = cell.run()[1]
        finally:
            cell.clean()
        if kept:
            with open(kept, "wb") as f:
                pickle.dump(answers[names], f)
    return answers[names]


def table():
    """The matrix as text, one table a pipeline."""
    lines = []
    for pipeline in PIPELINES:
        lines += ["", "%s: rows compared, and whether they are equal" % pipeline, "%-36s" % "" + "".join("%-22s" % e for e in ENGINES.values())]
        for b, broker in BROKERS.items():
            for s, store in STORES.items():
                lines.append("%-36s" % ("%s → %s" % (broker, store)) + "".join("%-22s" % results.get((pipeline, b, e, s), "–") for e in ENGINES))
    return "\n".join(lines)


@pytest.fixture(scope="module", autouse=True)
def printed():
    yield
    if "TM_MATRIX" in os.environ:
        with open(os.environ["TM_MATRIX"], "w", encoding="utf-8") as f:
            f.write(table() + "\n")
    else:
        print(table())


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("broker", BROKERS)
@pytest.mark.parametrize("engine", ENGINES)  # the slowest last
def test_cell(request, tmp_path_factory, broker, engine, store):
    names = (broker, engine, store)
    want = run(request, tmp_path_factory, REFERENCE)
    try:
        got = run(request, tmp_path_factory, names)
    except BaseException:
        for pipeline in PIPELINES:
            results[(pipeline,) + names] = "failed"
        raise
    unlike = []
    for pipeline in PIPELINES:
        found = differences(want[pipeline], got[pipeline])
        unlike += ["%s: %s" % (pipeline, d) for d in found]
        n = count(got[pipeline])
        results[(pipeline,) + names] = "%d %s" % (n, "DIFFERENT" if found else "= reference" if names == REFERENCE else "equal")
    assert not unlike, "\n".join(unlike)
