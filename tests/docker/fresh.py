"""README's first command on machines that have only git and make: Debian 12 and Ubuntu 24.04, from a clean clone of HEAD."""
import re
import shutil
import subprocess
import tempfile
import time

import base
from compose import ROOT, report

START = "apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends git make >/dev/null && git clone -q /clone /tidemill && cd /tidemill && "


class Case:
    def __init__(self, engine):
        self.engine = engine
        self.folder = tempfile.mkdtemp(prefix="tm-fresh-")
        subprocess.run(["git", "clone", "-q", "--bare", "file://" + ROOT, self.folder + "/clone"], check=True)

    def tests(self):
        return [self.debian, self.ubuntu, self.names]

    def show(self):
        pass

    def done(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def on(self, image, command):
        return self.engine.run("run", "--rm", "--network", "host", "-v", self.folder + "/clone:/clone:ro", "-e", "GIT_CONFIG_COUNT=1", "-e", "GIT_CONFIG_KEY_0=safe.directory",
                               "-e", "GIT_CONFIG_VALUE_0=*", image, "sh", "-c", START + command, check=False, timeout=3000)

    def make_run(self, image):
        start = time.time()
        run = self.on(image, "make run")
        assert run.returncode == 0 and re.search(r"seismic\.quakes\b", run.stdout) and "1679" in run.stdout, "exit %d\n%s" % (run.returncode, run.stdout[-5000:])
        report("%s: `make run` in %.0f s, packages and all" % (image, time.time() - start))

    def debian(self):
        """make run on Debian 12"""
        base.debian(self.engine)
        self.make_run("debian:bookworm-slim")

    def ubuntu(self):
        """make run on Ubuntu 24.04"""
        base.debian(self.engine, "ubuntu:24.04", "noble")
        self.make_run("ubuntu:24.04")

    def names(self):
        """every package of tools/packages.txt is there under one of its names"""
        ask = r"""grep -v '^#' tools/packages.txt | while read -r names for why; do [ -n "$names" ] || continue; found=
            for name in $(echo "$names" | tr '|' ' '); do apt-cache show "$name" >/dev/null 2>&1 && found=yes; done
            [ -n "$found" ] || echo "MISSING $names ($for)"; done"""
        for image in ("debian:bookworm-slim", "ubuntu:24.04"):
            run = self.on(image, ask)
            assert run.returncode == 0 and "MISSING" not in run.stdout, image + "\n" + run.stdout[-3000:]
