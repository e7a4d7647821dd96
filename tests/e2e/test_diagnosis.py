"""The ways in which public projects of this kind deliver no row: each is found and named."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
from instance import copy_of, up_until_idle  # noqa: E402


def edit(project, path, old, new):
    path = os.path.join(project, path)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    assert old in text
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace(old, new))


def findings(summary):
    return [(f["severity"], f["subject"], f["what"], f["why"], f["next"]) for f in summary["findings"]]


def test_the_topic_has_another_name(tmp_path):
    project = copy_of("examples/users", str(tmp_path))
    edit(project, "dags/user_automation.py", "producer.send('users_created'", "producer.send('user_created'")
    summary, _ = up_until_idle(project, str(tmp_path / "d"), USERS_COUNT="5")
    found = [f for f in findings(summary) if f[1] == "topic users_created"]
    assert found and found[0][0] == "error" and "5 records are in topic user_created" in found[0][3], findings(summary)


def test_the_key_is_null(tmp_path):
    project = copy_of("examples/users", str(tmp_path))
    edit(project, "dags/user_automation.py", "'id': str(uuid.uuid4()),", "")
    summary, _ = up_until_idle(project, str(tmp_path / "d"), USERS_COUNT="5")
    pipeline = summary["pipelines"][0]
    assert pipeline["rows_read"] == 5 and pipeline["rows_written"] == 0 and pipeline["rows_dead_lettered"] == 5, pipeline
    assert any("null" in json.dumps(f) and f[0] == "error" for f in findings(summary)), findings(summary)


def test_the_dag_fails(tmp_path):
    project = copy_of("examples/users", str(tmp_path))
    edit(project, "dags/user_automation.py", "    from kafka import KafkaProducer\n", "    from kafka import KafkaProducer\n    raise ValueError('no such people')\n")
    summary, status = up_until_idle(project, str(tmp_path / "d"))
    assert status == 1 and not summary["ok"]
    found = [f for f in findings(summary) if f[1] == "dag user_automation"]
    assert found and "no such people" in json.dumps(found), findings(summary)
