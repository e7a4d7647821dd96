"""With a coordinator: how long this process may act. `tidemill up` tells it again and again until when its instance is certain to lead, by a clock that
both read and that goes on while either of them, or the machine, sleeps. When that moment comes and nothing newer was told, Spark is killed and this
process ends: whoever told us may be paused, and another instance's Spark is about to begin on the same checkpoints."""
import os
import signal
import sys
import threading
import time

STATUS = 75  # LEASE_STATUS of src/spark/engine.c
LOOK_S = 0.02
OWNER = "TIDEMILL_SPARK_OWNER"


def now_ns():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def kill_ours():
    """The JVM, and what it started: all that have our owner in their environment."""
    mine, owner = os.getpid(), ("%s=%s" % (OWNER, os.environ.get(OWNER, ""))).encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/environ" % pid, "rb") as f:
                if int(pid) != mine and owner in f.read().split(b"\0"):
                    os.kill(int(pid), signal.SIGKILL)
        except OSError:
            pass


def end():
    """Nothing is told: who listens may be paused, and a full pipe must not hold us."""
    try:
        kill_ours()
    finally:
        os._exit(STATUS)  # the kernel kills the JVM with us (death.py), whatever was missed


class Lease:
    def __init__(self, end=end):
        self.until_ns, self.last_us, self.end, self.lock, self.begun = 0, 0, end, threading.Lock(), False

    def renew(self, until_ns):
        """The first that is not over begins it: what was told while Python started has waited in the pipe. Before, no query can have begun."""
        self.until_ns = until_ns
        if not self.begun and self.holds():
            self.begun = True
            threading.Thread(target=self.watch, daemon=True).start()

    def holds(self):
        return now_ns() < self.until_ns

    def watch(self):
        while self.holds():
            time.sleep(LOOK_S)
        print("the lease has ended: this instance may lead no more", file=sys.stderr, flush=True)
        self.end()

    def demand(self):
        """To be called right before what only a leader's Spark may do."""
        if not self.holds():
            self.end()
            raise RuntimeError("this instance leads no more")

    def stamp_us(self):
        """The timestamp of all cells that a batch writes. It is taken while the lease holds, so what a Spark that was paused in the middle of its batch
        writes after it has been replaced is older than what the next one writes, and loses. It grows from batch to batch."""
        with self.lock:
            self.last_us = max(self.last_us + 1, time.time_ns() // 1000)
            stamp = self.last_us
        self.demand()  # after the clock was read: a pause in between must not give a stamp of now
        return stamp
