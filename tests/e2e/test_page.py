"""The page in headless Chromium during a run of the earthquakes: every number on the picture is the API's. UPDATE=1 writes the
screenshots of docs/."""
import os
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from browser import Browser  # noqa: E402
from instance import ROOT, Instance  # noqa: E402

FIGURES = "return [...document.querySelectorAll('[data-figure]')].map(e => [e.dataset.figure, e.textContent])"


@pytest.fixture(scope="module")
def running():
    replay = subprocess.Popen([sys.executable, os.path.join(ROOT, "examples", "earthquakes", "replay.py")], stdout=subprocess.PIPE, universal_newlines=True)
    feed = replay.stdout.readline().strip()
    try:
        with Instance(os.path.join(ROOT, "examples", "earthquakes"), EARTHQUAKES_FEED=feed) as i:
            i.wait(lambda: any(t["name"] == "strong_quakes" and t["rows"] for t in i.get("/api/tables")), 60)
            i.wait(lambda: settled(i), 30)
            yield i
    finally:
        replay.kill()
        replay.wait()


def settled(i):
    status = i.get("/api/status")
    by = {p["name"]: p for p in status["pipelines"]}
    rows = {t["name"]: t["rows"] for t in status["tables"]}
    return status["runs"] and status["runs"][0]["state"] == "success" and by["quakes"]["rows_written"] == rows["quakes"] == by["quakes_clean"]["rows_written"]


def exact(n):
    return format(n, ",")


def expected(status):
    figures = {}
    for t in status["topics"]:
        figures["topic:%s records" % t["name"]] = exact(t["records"])
    for t in status["tables"]:
        figures["table:%s.%s rows" % (t["keyspace"], t["name"])] = exact(t["rows"])
    for p in status["pipelines"]:
        figures["query:%s rows in" % p["name"]] = exact(p["rows_read"])
        figures["query:%s rows out" % p["name"]] = exact(p["rows_written"])
    return figures


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_number_is_the_apis(running, theme):
    browser = Browser(width=1500, height=1150)
    try:
        browser.open("http://127.0.0.1:%d/#tables" % running.http)
        browser.wait("return document.querySelector('.theme')")
        browser.run("localStorage.setItem('theme', arguments[0])", theme)
        browser.open("http://127.0.0.1:%d/?%s#tables" % (running.http, theme))
        browser.wait("return document.querySelectorAll('.node').length > 8 && document.querySelector('.link.on')")
        browser.wait("const n = document.querySelector('.tables nav button b'); return n && [...document.querySelectorAll('.tables nav button')].find(b => b.textContent.includes('quakes_per_hour'))")
        browser.run("[...document.querySelectorAll('.tables nav button')].find(b => b.textContent.includes('quakes_per_hour')).click()")
        browser.wait("return document.querySelectorAll('.result tbody tr').length > 10")
        shown = dict(browser.run(FIGURES))
        want = expected(running.get("/api/status"))
        for key, value in want.items():
            if not key.startswith("table:tidemill"):
                assert shown.get(key) == value, (key, shown.get(key), value)
        assert browser.run("return document.documentElement.dataset.theme") == theme
        assert not browser.errors(), browser.errors()
        path = os.path.join(ROOT, "docs", "page-%s.png" % theme) if os.environ.get("UPDATE") else "/tmp/tidemill-page-%s.png" % theme
        browser.screenshot(path)
        assert os.path.getsize(path) > 20000
    finally:
        browser.close()


def test_the_dag_leads_to_its_topic(running):
    assert {"client_id": "airflow/earthquakes/publish", "topic": "earthquakes"} in running.get("/api/status")["writers"]


def test_a_log_can_be_read(running):
    browser = Browser()
    try:
        browser.open("http://127.0.0.1:%d/#runs" % running.http)
        browser.wait("const r = document.querySelector('.runs .row'); if (r && r.getAttribute('aria-expanded') !== 'true') r.click(); return document.querySelector('.task')")
        browser.run("document.querySelector('.task').click()")
        assert "sent 1707 events" in browser.wait("const l = document.querySelector('pre.log'); return l && l.textContent.includes('sent') && l.textContent")
    finally:
        browser.close()


def request(i, path, method="GET", body=None, **headers):
    r = urllib.request.Request("http://127.0.0.1:%d%s" % (i.http, path), body, headers, method=method)
    try:
        with urllib.request.urlopen(r, timeout=10) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as e:
        return e.code, e.headers


def test_no_page_elsewhere_can_drive_it(running):
    body = b'{"sql": "SELECT 1"}'
    json_type = {"Content-Type": "application/json"}
    assert request(running, "/api/sql", "POST", body, **json_type)[0] == 200
    assert request(running, "/api/sql", "POST", body, Origin="http://evil.example", **json_type)[0] == 403
    assert request(running, "/api/status", Host="evil.example")[0] == 403
    assert request(running, "/api/status", Host="evil.example:%d" % running.http)[0] == 403
    assert request(running, "/api/sql", "POST", body, **{"Content-Type": "text/plain"})[0] == 400
    assert request(running, "/api/sql", "POST", body, **{"Sec-Fetch-Site": "cross-site"}, **json_type)[0] == 403
    status, headers = request(running, "/")
    assert status == 200 and "script-src 'self'" in headers["Content-Security-Policy"] and "unsafe" not in headers["Content-Security-Policy"]
    assert request(running, "/api/nothing")[0] == 404
    assert request(running, "/api/status", "DELETE")[0] == 405
    assert request(running, "/api/sql", "POST", b"x" * (9 << 20), **json_type)[0] == 413
    assert request(running, "/metrics")[0] == 200 and request(running, "/health")[0] == 200
