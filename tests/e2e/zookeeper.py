"""A ZooKeeper of Debian's package for tests: one server on a free port, with short ticks; it can be paused, killed and started again."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from ports import free_port

JAR = "/usr/share/java/zookeeper.jar"


class Wire:
    """A connection to a port that can be cut: while it is, nothing goes through and nothing is closed, as on a broken network."""

    def __init__(self, port):
        self.to, self.cut, self.open = port, False, True
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while self.open:
            try:
                near, _ = self.listener.accept()
                if self.cut:
                    continue  # it hangs, and is dropped with the object
                far = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                continue
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(a, b), daemon=True).start()

    def carry(self, a, b):
        try:
            while True:
                data = a.recv(65536)
                while self.cut:
                    time.sleep(0.02)
                if not data:
                    break
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            s.close()

    def close(self):
        self.open = False
        self.listener.close()


class ZooKeeper:
    def __init__(self, tick_ms=250, options=()):
        assert os.path.exists(JAR), "%s is missing: install the package zookeeper" % JAR
        self.folder = tempfile.mkdtemp(prefix="tm-zookeeper-")
        self.port, self.tick_ms, self.options, self.process = free_port(), tick_ms, list(options), None

    def start(self):
        config = os.path.join(self.folder, "zoo.cfg")
        with open(config, "w") as f:
            f.write("dataDir=%s/data\nclientPort=%d\nclientPortAddress=127.0.0.1\ntickTime=%d\nadmin.enableServer=false\nmaxClientCnxns=0\n"
                    "4lw.commands.whitelist=srvr\n" % (self.folder, self.port, self.tick_ms))
        self.log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen(["java", "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *self.options, "-cp", JAR,
                                         "org.apache.zookeeper.server.quorum.QuorumPeerMain", config], stdout=self.log, stderr=self.log)
        until = time.time() + 30
        while time.time() < until:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                    s.sendall(b"srvr")
                    if b"Mode:" in s.recv(4096):
                        return self
            except OSError:
                pass
            assert self.process.poll() is None, "ZooKeeper ended; see %s/log" % self.folder
            time.sleep(0.05)
        raise AssertionError("ZooKeeper is not ready after 30 s")

    def signal(self, sig):
        self.process.send_signal(sig)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def address(self, path, session_ms=1500, who=""):
        return "zookeeper://%s127.0.0.1:%d%s?session_timeout_ms=%d" % (who and who + "@", self.port, path, session_ms)

    def cli(self, text=(), lines=(), code=0):
        """What people do with zkCli.sh: one command, or several lines in one session; code: the exit status of the last."""
        run = subprocess.run(["java", "-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", JAR, "org.apache.zookeeper.ZooKeeperMain", "-server",
                              "127.0.0.1:%d" % self.port] + list(text), input="".join(line + "\n" for line in lines).encode(),
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        assert run.returncode == code, run.stdout.decode()
        return run.stdout.decode()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
