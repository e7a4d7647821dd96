"""What the documents show is run: the project of README's five minutes, file by file, and each command there."""
import os
import re
import shlex
import subprocess
import sys

sys.path.insert(0, os.path.dirname(__file__))
from instance import ROOT, Instance, binary, environment, up_until_idle  # noqa: E402


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def test_five_minutes_of_the_readme(tmp_path):
    text = read("README.md")
    text = text[text.index("## Five minutes"):]
    files = re.findall(r"^`((?:dags|tables|pipelines)/[\w.]+)`.*?:\n```\w+\n(.*?)^```", text, re.M | re.S)
    assert [name.split("/")[0] for name, _ in files] == ["dags", "tables", "pipelines"]
    project = str(tmp_path / "my-project")
    for name, body in files:
        path = os.path.join(project, name)
        os.makedirs(os.path.dirname(path))
        with open(path, "w") as f:
            f.write(body)
    commands = [shlex.split(line, comments=True) for line in re.search(r"```sh\ntidemill check.*?```", text, re.S).group(0).splitlines() if line.startswith("tidemill")]
    assert len(commands) == 5
    data = str(tmp_path / "data")
    summary, status = up_until_idle(project, data)
    assert status == 0, summary
    with Instance(project, data=data) as i:
        i.wait(lambda: i.get("/api/tables"))
        for words in commands:
            if words[1] == "up":
                continue
            run = subprocess.run([binary(), *words[1:]], cwd=str(tmp_path), env=environment(data), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=60)
            assert run.returncode == 0, (words, run.stdout)
        rows = i.cql("SELECT sum(clicks) FROM web.clicks_per_user")["rows"]
        assert rows == [[1000]], rows


def test_the_api_page_names_what_is_served(tmp_path):
    """Every GET without a parameter in docs/api.md answers 200, and each key that it names is there."""
    os.makedirs(str(tmp_path / "p" / "dags"))
    with Instance(str(tmp_path / "p")) as i:
        for path in re.findall(r"`GET (/[\w/]+)`", read("docs/api.md")):
            if path in ("/api/events", "/metrics"):
                continue
            i.get(path)
        status = i.get("/api/status")
        named = re.search(r"`GET /api/status`.*?\{(.*?)\}`", read("docs/api.md")).group(1)
        for key in ("version", "project", "uptime_s", "doors", "dags", "runs", "topics", "pipelines", "tables", "dead_letters", "edges", "findings"):
            assert key in status and '"%s"' % key in named, key


def test_generated_pages_are_fresh():
    run = subprocess.run([sys.executable, os.path.join(ROOT, "tools", "docs.py"), "--check"], stdout=subprocess.PIPE, universal_newlines=True)
    assert run.returncode == 0, run.stdout


def test_links_of_the_documents_lead_somewhere():
    for page in ["README.md", "ARCHITECTURE.md", "HACKING.md"] + ["docs/" + f for f in os.listdir(os.path.join(ROOT, "docs")) if f.endswith(".md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", read(page)):
            path = os.path.normpath(os.path.join(ROOT, os.path.dirname(page), target))
            assert os.path.exists(path) or target.endswith(".png"), (page, target)


def test_layers_and_banned_calls():
    run = subprocess.run([sys.executable, os.path.join(ROOT, "tools", "check.py"), "--no-format"], stdout=subprocess.PIPE, universal_newlines=True)
    assert run.returncode == 0, run.stdout


NAMES = {"uv": "libuv", "ssl": "openssl", "curl4": "libcurl", "yaml": "libyaml", "zlib1g": "zlib", "sqlite3": "sqlite", "lz4": "lz4"}
TOOLS = ("gcc", "libc6-dev", "cmake", "ninja-build", "pkg-config", "python3", "python3-venv")


def test_dependencies_have_a_row():
    rows = read("docs/DEPENDENCIES.md").lower()
    for line in read("tools/packages.txt").splitlines():
        words = line.split()
        if not words or words[0] == "#" or words[1] != "build" or words[0] in TOOLS:
            continue
        name = re.sub(r"(-openssl)?-dev$", "", re.sub(r"^lib", "", words[0]))
        name = NAMES.get(name, NAMES.get(name.rstrip("0123456789"), name.rstrip("0123456789")))
        assert name in rows, (line, name)
