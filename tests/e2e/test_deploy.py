"""deploy/ as it is written: what must hold of the Dockerfile and the compose files without an engine to run them (tests/docker does)."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(__file__))
from instance import ROOT  # noqa: E402

DEPLOY = os.path.join(ROOT, "deploy")
COMPOSE = ["compose.yaml", "compose.stack.yaml"]


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as f:
        return f.read()


def services(text):
    """{name: the lines of it}"""
    body = re.search(r"^services:\n(.*?)(?=^\S|\Z)", text, re.M | re.S).group(1)
    parts = re.split(r"^  ([\w-]+):\n", body, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def packages():
    kinds = {}
    for line in read(ROOT, "tools", "packages.txt").splitlines():
        if line.strip() and not line.startswith("#"):
            name, kind, _why = line.split(None, 2)
            kinds.setdefault(kind, []).append(name)
    return kinds


def test_the_image_has_one_list_of_packages():
    """Every package is installed by tools/setup.sh from tools/packages.txt, or is what the binary's own libraries come from."""
    text = read(DEPLOY, "Dockerfile").replace("\\\n", " ")
    assert re.findall(r"apt-get install (.*?)(?: &&| >)", text) == ["-y -q --no-install-recommends $(cat libraries)"]
    used = {kind for kinds in re.findall(r"tools/setup\.sh ([a-z ]+?) *(?:&&|$)", text, re.M) for kind in kinds.split()}
    kinds = packages()
    assert used == {"build", "run", "image", "stack", "spark"} and used <= set(kinds), used
    for copied in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.M):
        for path in copied.split():
            assert os.path.exists(os.path.join(ROOT, path)), path
    # What the build stage is not given must not be named by the build; what it is given must not be kept out of the context.
    ignored = read(ROOT, ".dockerignore").split()
    assert not {"src", "web", "tools", "python", "deploy"} & set(ignored) and ".git" in ignored and "deploy/.env" in ignored


def test_the_image_is_no_root_and_has_health():
    text = read(DEPLOY, "Dockerfile")
    runtime = text[text.index("AS runtime"):text.index("AS spark-files")]
    assert re.search(r"^USER tidemill$", runtime, re.M) and re.search(r'^HEALTHCHECK .*CMD \["tidemill", "health", "/project"\]$', runtime, re.M)
    assert re.search(r"^VOLUME /data$", runtime, re.M) and "STOPSIGNAL SIGTERM" in runtime and 'ENTRYPOINT ["tini", "--", "tidemill"]' in runtime
    assert re.findall(r"^USER (\S+)$", text[text.index("AS spark\n"):], re.M)[-1] == "tidemill"
    assert "LISTEN" not in "".join(re.findall(r"^ENV.*", text, re.M)), "that doors open is said by who runs the image, not by the image"


def test_images_are_pinned():
    for path in COMPOSE + ["stack/airflow.Dockerfile"]:
        for image in re.findall(r"^\s*(?:image:|FROM) (\S+)$", read(DEPLOY, path), re.M):
            assert re.search(r":(\$\{\w+:-)?\d+\.\d+(\.\d+)?\}?$", image), (path, image)
    version = re.search(r"VERSION (\d+\.\d+\.\d+)\)", read(ROOT, "CMakeLists.txt")).group(1)
    assert set(re.findall(r"TIDEMILL_TAG:-([\d.]+)", "".join(read(DEPLOY, c) for c in COMPOSE))) == {version}


def test_ports_are_published_on_loopback_only():
    for path in COMPOSE:
        count = 0
        for block in re.findall(r"^    ports:\n((?:      - .*\n)+)", read(DEPLOY, path), re.M):
            for port in re.findall(r"- \"?(\S+?)\"?$", block, re.M):
                assert port.startswith("127.0.0.1:"), (path, port)
                count += 1
        assert count >= 3


def test_services_have_health_limits_and_an_order():
    for path in COMPOSE:
        text = read(DEPLOY, path)
        for name, body in services(text).items():
            assert "mem_limit:" in body, (path, name)
            assert "healthcheck:" in body or name in ("tidemill", "airflow-init"), (path, name)
            for condition in re.findall(r"condition: (\w+)", body):
                assert condition in ("service_healthy", "service_completed_successfully")
        assert "network_mode" not in text and "privileged: true" not in text and "docker.sock" not in text
    stack = services(read(DEPLOY, "compose.stack.yaml"))
    waits = {name: set(re.findall(r"^      ([\w-]+):\n        condition", body, re.M)) for name, body in stack.items()}
    assert waits["tidemill"] == {"kafka", "cassandra", "zookeeper", "spark-worker"} and waits["spark-worker"] == {"spark"}
    assert waits["airflow-init"] == {"postgres"} and {"airflow-apiserver", "kafka"} <= waits["airflow-scheduler"]


def test_no_password_stands_in_the_open(tmp_path):
    for path in COMPOSE:
        for line in read(DEPLOY, path).splitlines():
            name = re.match(r"\s*(\w*(?:PASSWORD|SECRET|FERNET_KEY|SQL_ALCHEMY_CONN)\w*): (.+)$", line)
            if name and not name.group(1).endswith("_FILE"):
                assert re.search(r"\$\{\w+:\?run deploy/secrets\.sh\}", name.group(2)), line
    needed = set(re.findall(r"\$\{(\w+):\?run deploy/secrets\.sh\}", read(DEPLOY, "compose.stack.yaml")))
    # The generator makes each of them, new ones each time, readable by their owner alone, and does not overwrite them.
    made = []
    for folder in ("a", "b"):
        os.makedirs(str(tmp_path / folder))
        script = str(tmp_path / folder / "secrets.sh")
        with open(script, "w") as f:
            f.write(read(DEPLOY, "secrets.sh"))
        for _ in range(2):
            assert subprocess.run(["sh", script], stdout=subprocess.DEVNULL).returncode == 0
        env = str(tmp_path / folder / ".env")
        assert os.stat(env).st_mode & 0o777 == 0o600
        made.append(dict(line.split("=", 1) for line in read(env).splitlines()))
        assert set(made[-1]) == needed and all(len(v) >= 24 for v in made[-1].values())
    assert not set(made[0].values()) & set(made[1].values())
    assert "/deploy/.env" in read(ROOT, ".gitignore").split()


def test_the_stand_ins_are_those_that_are_named():
    sys.path.insert(0, os.path.join(ROOT, "tests", "docker"))
    import images
    named = set(re.findall(r"^    image: (?!tidemill)(\S+)$", read(DEPLOY, "compose.stack.yaml"), re.M)) | set(re.findall(r"^FROM (\S+)$", read(DEPLOY, "stack/airflow.Dockerfile"), re.M))
    assert set(images.STAND_INS) == named
    table = read(ROOT, "docs", "docker.md")
    for image in named:
        assert "`%s`" % image in table, image
