"""The two examples, from the API to the tables, by `up --until-idle`."""
import json
import os
import subprocess
import sys
import uuid

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from instance import ROOT, Instance, up_until_idle  # noqa: E402

WEEK = os.path.join(ROOT, "examples", "earthquakes", "data", "usgs-all-week-2018-02-07.geojson")


@pytest.fixture
def replay():
    process = subprocess.Popen([sys.executable, os.path.join(ROOT, "examples", "earthquakes", "replay.py")], stdout=subprocess.PIPE, universal_newlines=True)
    yield process.stdout.readline().strip()
    process.kill()
    process.wait()


def expected():
    """What the pipeline must make of the recorded week, computed apart from it."""
    with open(WEEK, encoding="utf-8") as f:
        features = json.load(f)["features"]
    quakes = [f for f in features if f["properties"]["type"] == "earthquake" and f["properties"]["mag"] is not None]
    return features, quakes, [f for f in quakes if f["properties"]["mag"] >= 4.5]


def by_name(items):
    return {i["name"]: i for i in items}


def test_earthquakes_match_the_recorded_week(tmp_path, replay):
    project = os.path.join(ROOT, "examples", "earthquakes")
    summary, status = up_until_idle(project, str(tmp_path), EARTHQUAKES_FEED=replay)
    features, quakes, strong = expected()
    assert status == 0 and summary["ok"], summary
    topics, tables, pipelines = by_name(summary["topics"]), by_name(summary["tables"]), by_name(summary["pipelines"])
    assert topics["earthquakes"]["records"] == len(features)
    assert topics["earthquakes_clean"]["records"] == len(quakes)
    assert topics["strong_quakes"]["records"] == len(strong)
    assert pipelines["quakes_clean"]["rows_read"] == len(features)
    assert pipelines["quakes_clean"]["rows_written"] == len(quakes)
    assert pipelines["quakes"]["rows_written"] == len(quakes)
    assert all(p["rows_dead_lettered"] == 0 and p["rows_late"] == 0 for p in summary["pipelines"]), pipelines
    assert tables["quakes"]["rows"] == len(quakes)
    assert tables["strong_quakes"]["rows"] == len(strong)
    # A second run finds nothing new in the feed, and everything stays as it is.
    hours = tables["quakes_per_hour"]["rows"]
    again, status = up_until_idle(project, str(tmp_path), "--trigger", "earthquakes", EARTHQUAKES_FEED=replay)
    assert status == 0 and again["topics"] == summary["topics"] and again["tables"] == summary["tables"]
    with Instance(project, data=str(tmp_path), EARTHQUAKES_FEED=replay) as i:
        rows = i.cql("SELECT sum(n) AS n, max(strongest) AS strongest FROM seismic.quakes_per_hour")["rows"]
        assert rows == [[len(quakes), max(f["properties"]["mag"] for f in quakes)]]
        assert i.cql("SELECT count(*) FROM seismic.quakes_per_hour")["rows"] == [[hours]]
        first = sorted(quakes, key=lambda f: f["id"])[0]
        place = first["properties"]["place"].split(", ")[-1]
        region = i.cql("SELECT region FROM seismic.regions WHERE suffix = '%s'" % place)["rows"]
        region = region[0][0] if region else place
        rows = i.cql("SELECT mag, place, latitude FROM seismic.quakes WHERE region = '%s' AND id = '%s' ALLOW FILTERING" % (region, first["id"]))["rows"]
        assert rows == [[first["properties"]["mag"], first["properties"]["place"], first["geometry"]["coordinates"][1]]]


def test_users_arrive_with_every_field(tmp_path):
    summary, status = up_until_idle(os.path.join(ROOT, "examples", "users"), str(tmp_path), USERS_COUNT="30")
    assert status == 0 and summary["ok"], summary
    assert by_name(summary["topics"])["users_created"]["records"] == 30
    assert by_name(summary["tables"])["created_users"]["rows"] == 30
    run = summary["dags"][0]["runs"][0]
    assert summary["dags"][0]["dag_id"] == "user_automation" and run["state"] == "success", summary["dags"]
    with Instance(os.path.join(ROOT, "examples", "users"), data=str(tmp_path), USERS_COUNT="0") as i:
        answer = i.cql("SELECT * FROM spark_streams.created_users")
        names = [c["name"] for c in answer["columns"]]
        assert len(answer["rows"]) == 30
        for row in answer["rows"]:
            user = dict(zip(names, row))
            uuid.UUID(user["id"])
            assert all(user[k] for k in names if k != "post_code"), user
            assert user["post_code"] and user["registered_date"].endswith("Z") and "@" in user["email"], user
        # Numeric and text postcodes both arrive as text, letters beyond ASCII unharmed.
        assert any(any(ord(c) > 127 for c in dict(zip(names, r))["first_name"] + dict(zip(names, r))["last_name"]) for r in answer["rows"])
