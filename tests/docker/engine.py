"""An engine to test with: the one that DOCKER_HOST or the default socket answers for, else a dockerd of our own (root only), with its
own data root, socket and pid file, stopped at the end. Skip is raised, with the reason, where neither is to be had."""
import os
import shutil
import subprocess
import time

HOME = os.environ.get("TIDEMILL_DOCKER_HOME", "/var/tmp/tidemill-docker")


class Skip(Exception):
    pass


def say(text):
    print("== " + text, flush=True)


class Engine:
    def __init__(self):
        self.process = None
        self.env = dict(os.environ, DOCKER_BUILDKIT="0", COMPOSE_DOCKER_CLI_BUILD="0", COMPOSE_HTTP_TIMEOUT="300")

    def start(self):
        if not shutil.which("docker"):
            raise Skip("no docker command (Debian: apt-get install docker.io docker-compose debootstrap)")
        if self.answers():
            say("the engine that is running is used: " + self.version())
            return self
        if os.geteuid() != 0 or not shutil.which("dockerd"):
            raise Skip("no engine answers, and no dockerd can be started here (it needs root)")
        os.makedirs(HOME, exist_ok=True)
        self.env["DOCKER_HOST"] = "unix://" + os.path.join(HOME, "docker.sock")
        if self.answers():
            say("the engine of a run before is used: " + self.version())
            return self
        why = ""
        # Where the machine lets nobody touch its packet filter, containers share the host's network only: the compose files need a
        # bridge, so that is no engine to test with.
        with open(os.path.join(HOME, "dockerd.log"), "wb") as log:
            self.process = subprocess.Popen(
                ["dockerd", "--data-root", os.path.join(HOME, "root"), "--exec-root", os.path.join(HOME, "exec"), "--pidfile", os.path.join(HOME, "pid"),
                 "-H", self.env["DOCKER_HOST"]], stdout=log, stderr=log, start_new_session=True)
        until = time.time() + 60
        while time.time() < until and self.process.poll() is None:
            if self.answers():
                say("a dockerd of our own: " + self.version())
                return self
            time.sleep(0.2)
        with open(os.path.join(HOME, "dockerd.log"), encoding="utf-8", errors="replace") as f:
            why = ([line for line in f if "level=fatal" in line or "level=error" in line or "failed" in line] or [""])[-1].strip()
        self.stop()
        raise Skip("dockerd does not start here: " + (why or "see %s/dockerd.log" % HOME))

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process = None

    def answers(self):
        return subprocess.run(["docker", "version"], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0

    def version(self):
        return self.out("version", "--format", "engine {{.Server.Version}}, client {{.Client.Version}}")

    def run(self, *args, check=True, timeout=1800, quiet=False, **more):
        """docker ARGS; gives the CompletedProcess, with both outputs as one text."""
        done = subprocess.run(["docker", *args], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, errors="replace",
                              timeout=timeout, check=False, **more)
        if check and done.returncode != 0:
            raise AssertionError("docker %s: exit %d\n%s" % (" ".join(args), done.returncode, done.stdout[-6000:]))
        return done

    def out(self, *args):
        done = subprocess.run(["docker", *args], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=300, check=False)
        if done.returncode != 0:
            raise AssertionError("docker %s: exit %d\n%s" % (" ".join(args), done.returncode, done.stderr[-3000:]))
        return done.stdout.strip()

    def has(self, image):
        return self.run("image", "inspect", image, check=False).returncode == 0

    def pull(self, image):
        """True when the registry gave the very image; False where it cannot be reached."""
        return self.run("pull", "-q", image, check=False, timeout=600).returncode == 0
