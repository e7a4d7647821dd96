"""A Kafka door with a log of its own in a fresh directory, for the interop tests."""
import os
import shutil
import subprocess
import tempfile

import clients


class Door:
    """with Door() as door: … door.address; door.restart() keeps the data, door.kill() is SIGKILL."""

    def __init__(self, *options, program=None):
        self.program = program or clients.built("kafka_server")
        self.options = options
        self.directory = tempfile.mkdtemp(prefix="tidemill-kafka-")
        self.process, self.port = None, 0

    def start(self):
        self.process = subprocess.Popen([self.program, os.path.join(self.directory, "log"), str(self.port), *self.options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=open(os.path.join(self.directory, "stderr"), "ab"), text=True)
        line = self.process.stdout.readline()
        assert line.startswith("port "), f"the server did not start: {line!r} {self.words()}"
        self.port = int(line.split()[1])
        return self

    def words(self):
        with open(os.path.join(self.directory, "stderr"), encoding="utf-8") as f:
            return f.read()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def stop(self):
        """The end of its standard input ends it; returns the exit code."""
        self.process.stdin.close()
        code = self.process.wait(30)
        self.process.stdout.close()
        return code

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def restart(self):
        assert self.stop() == 0, self.words()
        self.start()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        try:
            if self.process.poll() is None:
                self.stop()
        finally:
            if self.process.poll() is None:
                self.kill()
            shutil.rmtree(self.directory, ignore_errors=True)
