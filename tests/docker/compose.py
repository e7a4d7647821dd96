"""A compose file brought up as a project of its own: on ports of its own, with passwords of its own, taken down with its volumes."""
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from engine import Skip, say

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PORT = int(os.environ.get("DOCKER_TEST_PORTS", "36000"))


class Compose:
    def __init__(self, engine, file, project, ports):
        """ports: {variable: offset to PORT}"""
        self.engine, self.file, self.project = engine, os.path.join(ROOT, "deploy", file), project
        self.ports = {name: PORT + offset for name, offset in ports.items()}
        self.env = dict(engine.env, **{name: str(port) for name, port in self.ports.items()})
        self.folder = tempfile.mkdtemp(prefix="tm-docker-test-")
        if subprocess.run(["docker", "compose", "version"], env=engine.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0:
            self.command = ["docker", "compose"]
        elif shutil.which("docker-compose"):
            self.command = ["docker-compose"]
        else:
            raise Skip("neither `docker compose` nor `docker-compose` is there")

    def __call__(self, *args, check=True, timeout=1800):
        done = subprocess.run([*self.command, "-p", self.project, "-f", self.file, *args], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              universal_newlines=True, errors="replace", timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise AssertionError("compose %s: exit %d\n%s" % (" ".join(args), done.returncode, done.stdout[-6000:]))
        return done.stdout

    def container(self, service):
        ids = self("ps", "-q", "-a", service, check=False).split() if self.command[0] == "docker" else self("ps", "-q", service).split()
        assert ids, "service %s has no container" % service
        return ids[-1]

    def state(self, service):
        return json.loads(self.engine.out("inspect", "-f", "{{json .State}}", self.container(service)))

    def wait_healthy(self, *services, timeout=300):
        """Gives the seconds it took until all are healthy."""
        start = time.time()
        while True:
            states = {s: self.state(s) for s in services}
            bad = [s for s, state in states.items() if state.get("Health", {}).get("Status") != "healthy"]
            if not bad:
                return time.time() - start
            assert time.time() - start < timeout, "after %d s not healthy: %s\n%s" % (timeout, ", ".join(bad), self("logs", "--tail", "30", *bad))
            time.sleep(0.5)

    def execute(self, service, *words, check=True):
        return self.engine.run("exec", self.container(service), *words, check=check).stdout

    def down(self):
        self("down", "-v", "-t", "10", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def get(self, path, host=None):
        request = urllib.request.Request("http://127.0.0.1:%d%s" % (self.ports["HTTP_PORT"], path), headers={"Host": host} if host else {})
        with urllib.request.urlopen(request, timeout=30) as r:
            return r.status, r.read().decode()


def wait(what, timeout, why):
    """Asks what() until it is true; gives its value."""
    until = time.time() + timeout
    while time.time() < until:
        try:
            value = what()
        except (AssertionError, urllib.error.URLError, ConnectionError, ValueError):
            value = None
        if value:
            return value
        time.sleep(0.5)
    raise AssertionError("not within %d s: %s" % (timeout, why))


def first(test):
    """Without this one, those after it say nothing."""
    test.first = True
    return test


def report(text):
    say("   " + text)
