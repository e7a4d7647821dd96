"""A running `tidemill up` of a project, for tests: free ports, a data directory of its own, stopped at the end."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def binary():
    for build in [os.environ["TM_BUILD"]] if "TM_BUILD" in os.environ else ["build", "build-debug"]:
        path = os.path.join(ROOT, build, "tidemill")
        if os.path.exists(path):
            return path
    raise RuntimeError("no binary: make")


def environment(data, **more):
    env = dict(os.environ, TIDEMILL_LISTEN_KAFKA="127.0.0.1:0", TIDEMILL_LISTEN_CASSANDRA="127.0.0.1:0", TIDEMILL_LISTEN_HTTP="127.0.0.1:0",
               TIDEMILL_DATA=data, LSAN_OPTIONS="suppressions=%s/tests/lsan.supp:print_suppressions=0" % ROOT)
    env.update(more)
    return env


def up_until_idle(project, data, *args, timeout=120, **env):
    """Runs `up --until-idle --json`; gives the summary and the exit status."""
    run = subprocess.run([binary(), "up", project, "--until-idle", "--json", *args], env=environment(data, **env), stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, timeout=timeout)
    lines = [line for line in run.stdout.decode().splitlines() if line.startswith("{")]
    assert lines, "no summary; exit %d\n%s\n%s" % (run.returncode, run.stdout.decode()[-2000:], run.stderr.decode()[-4000:])
    return json.loads(lines[-1]), run.returncode


def command(*args, project=None, data=None, input=None, timeout=60, **more):
    env = environment(data, **more) if data else dict(os.environ, **more)
    words = [binary(), *args] + (["--project", project] if project else [])
    return subprocess.run(words, env=env, input=input, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=timeout)


def copy_of(example, folder):
    to = os.path.join(folder, os.path.basename(example))
    shutil.copytree(os.path.join(ROOT, example), to)
    return to


class Instance:
    """`with Instance(project) as i:` up and healthy inside; i.http, i.kafka, i.cassandra are ports."""

    def __init__(self, project, data=None, args=(), **env):
        self.project = project
        self.own = data is None
        self.data = data or tempfile.mkdtemp(prefix="tm-e2e-")
        self.args, self.env = args, env
        self.process = None

    def start(self, timeout=30):
        address = os.path.join(self.data, "http.address")
        if os.path.exists(address):
            os.unlink(address)
        self.log = open(os.path.join(self.data, "output"), "ab")
        self.process = subprocess.Popen([binary(), "up", self.project, *self.args], env=environment(self.data, **self.env), stdout=self.log, stderr=self.log,
                                        start_new_session=True)
        until = time.time() + timeout
        while time.time() < until:
            assert self.process.poll() is None, "up ended with %s:\n%s" % (self.process.returncode, self.output())
            if os.path.exists(address):
                self.http = int(open(address).read().strip().rsplit(":", 1)[1])
                try:
                    health = self.get("/health")
                    self.kafka, self.cassandra = health["doors"]["kafka"], health["doors"]["cassandra"]
                    return self
                except (urllib.error.URLError, ConnectionError):
                    pass
            time.sleep(0.01)
        raise AssertionError("up is not healthy after %d s:\n%s" % (timeout, self.output()))

    def output(self):
        with open(os.path.join(self.data, "output"), encoding="utf-8", errors="replace") as f:
            return f.read()[-6000:]

    def get(self, path):
        with urllib.request.urlopen("http://127.0.0.1:%d%s" % (self.http, path), timeout=30) as r:
            return json.load(r)

    def get_text(self, path):
        with urllib.request.urlopen("http://127.0.0.1:%d%s" % (self.http, path), timeout=30) as r:
            return r.read().decode()

    def post(self, path, body):
        request = urllib.request.Request("http://127.0.0.1:%d%s" % (self.http, path), json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as r:
            return [json.loads(line) for line in r.read().decode().splitlines() if line]

    def cql(self, text):
        return self.post("/api/cql", {"cql": text})[-1]

    def sql(self, text):
        return self.post("/api/sql", {"sql": text})[-1]

    def wait(self, what, timeout=60):
        """Asks what() until it is true; gives its value."""
        until = time.time() + timeout
        while time.time() < until:
            assert self.process.poll() is None, "up ended with %s:\n%s" % (self.process.returncode, self.output())
            value = what()
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError("not true after %d s\n%s" % (timeout, self.output()))

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def stop(self, timeout=30):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("SIGTERM did not end it:\n" + self.output())
        if not self.log.closed:
            self.log.close()
        return self.process.returncode

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        try:
            code = self.stop()
            if kind is None:
                assert code == 0, "exit status %s\n%s" % (code, self.output())
        finally:
            if self.own:
                shutil.rmtree(self.data, ignore_errors=True)
