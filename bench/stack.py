#!/usr/bin/env python3
"""One pipeline, two scales, measured in one run on this machine: JSON events from a topic, every one into a table, and counts per category and ten
seconds into another, on the real stack and on Tidemill, and on Tidemill's engine with the real broker and store.

    bench/stack.py [--write] [--events N] [--seconds N] [NAME…]      NAME: stack, tidemill, mixed; default all
    make bench-stack                                                --write: the table into docs/PERFORMANCE.md

The stack: Kafka 3.9 with ZooKeeper, Spark 3.5 with its Cassandra connector, Cassandra 5.0, and Airflow 3.3, which only starts and is measured
idle (Tidemill loads the same DAG file). Settings (SETTINGS below) are stated in the table. Every server is started here, on ports of its own, and
stopped at the end. What is compared: start to the first row readable (all started at once, the event waits for its broker); memory (sum of PSS of
every process) idle and after the load; milliseconds from the moment an event was due to the moment its row was read, at 1,000 and 10,000 events/s;
rows per second from a backlog, the job stopped meanwhile and started again in the same, warm JVM (Tidemill: the whole program started again, its own time from the start to the last commit);
CPU seconds of all processes per million events; processes; bytes on disk.
"""
import argparse
import glob
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("TM_BUILD", os.path.join(TOP, "build"))
STACK = os.environ.get("STACK_HOME", "/var/tmp/tidemill-stack")
SCRIPTS = os.path.join(TOP, "tests", "stack")
LOAD = os.path.join(BUILD, "tests", "stack_load")
BASE = int(os.environ.get("BENCH_STACK_PORT", "31000"))
SETTINGS = "ZooKeeper -Xmx128m, Kafka -Xmx1g, Cassandra -Xmx1g (commit log periodic), Spark 3.5 local[2], driver 2g, spark.sql.shuffle.partitions=2, topic of 4 partitions, acks=all; Tidemill as it comes"
MARK = "TM_BENCH_STACK=" + uuid.uuid4().hex       # every process started here, and its children, have it in their environment
DDL = ("CREATE KEYSPACE IF NOT EXISTS bench WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
       "CREATE TABLE IF NOT EXISTS bench.events (id uuid PRIMARY KEY, user text, category text, amount double, event_time timestamp)",
       "CREATE TABLE IF NOT EXISTS bench.per_window (category text, start timestamp, n bigint, total double, PRIMARY KEY (category, start))")
PIPELINE = """CREATE TEMPORARY VIEW raw USING kafka OPTIONS (subscribe 'events', startingOffsets 'earliest');
CREATE TEMPORARY VIEW event AS
  SELECT e.* FROM (SELECT from_json(CAST(value AS STRING), 'id STRING, user STRING, category STRING, amount DOUBLE, event_time TIMESTAMP') AS e FROM STREAM raw);
CREATE STREAMING TABLE events USING cassandra OPTIONS (keyspace 'bench', table 'events') AS
  SELECT id, user, category, amount, event_time FROM STREAM event;
CREATE STREAMING TABLE per_window USING cassandra OPTIONS (keyspace 'bench', table 'per_window', outputMode 'update') AS
  SELECT category, window(event_time, '10 seconds').start AS start, count(*) AS n, sum(amount) AS total
  FROM STREAM event WATERMARK event_time DELAY OF INTERVAL 1 MINUTE GROUP BY category, window(event_time, '10 seconds');
"""
DAG = """from datetime import datetime

from airflow import DAG

try:
    from airflow.providers.standard.operators.python import PythonOperator
except ImportError:
    from airflow.operators.python import PythonOperator


def nothing():
    print("nothing to do")


with DAG("bench", start_date=datetime(2024, 1, 1), schedule=None, catchup=False):
    PythonOperator(task_id="nothing", python_callable=nothing)
"""


def say(text):
    print("%s  %s" % (time.strftime("%H:%M:%S"), text), flush=True)


# ---- what the processes of one side take ----
def marked():
    out = []
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            with open(path, "rb") as f:
                if MARK.encode() in f.read():
                    out.append(int(path.split("/")[2]))
        except OSError:
            pass
    return out


def pss_mb(pids):
    total = 0
    for pid in pids:
        try:
            with open("/proc/%d/smaps_rollup" % pid) as f:
                total += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))
        except (OSError, AttributeError):
            pass
    return total / 1024


def cpu_s(pids):
    ticks = 0
    for pid in pids:
        try:
            with open("/proc/%d/stat" % pid) as f:
                ticks += sum(int(x) for x in f.read().rsplit(")", 1)[1].split()[11:13])
        except OSError:
            pass
    return ticks / os.sysconf("SC_CLK_TCK")


def disk_mb(*folders):
    total = 0
    for folder in folders:
        for root, _, files in os.walk(folder):
            for name in files:
                try:
                    total += os.stat(os.path.join(root, name)).st_blocks * 512
                except OSError:
                    pass
    return total / 1e6


def environment(**more):
    name, value = MARK.split("=")
    return dict(os.environ, **{name: value}, **more)


def load(*args, timeout=400):
    run = subprocess.run([LOAD, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=timeout)
    if not run.stdout.startswith("{"):
        raise RuntimeError("stack_load %s: %s" % (args[0], run.stderr.strip()))
    return json.loads(run.stdout)


class Side:
    """Something that runs the pipeline: where its broker and its store are, and how its job stops and goes on."""
    name = broker = None
    cassandra = None            # (host, port)

    def session(self):
        from cassandra.cluster import Cluster
        return Cluster([self.cassandra[0]], port=self.cassandra[1], connect_timeout=30, protocol_version=4)

    def counts(self):
        """(rows of events, sum of the counts per window): both are the number of events."""
        cluster = self.session()
        try:
            s = cluster.connect()
            s.default_timeout = 120
            windows = sum(r.n for r in s.execute("SELECT n FROM bench.per_window"))
            return sum(1 for _ in s.execute("SELECT id FROM bench.events")), windows
        finally:
            cluster.shutdown()

    def measure(self, args):
        r = {}
        events = 0
        say("%s: starts" % self.name)
        r["start_s"] = self.start()
        events += 1
        time.sleep(5)
        pids = marked()
        r["processes"], r["idle_mb"] = len(pids), pss_mb(pids)
        say("%s: first row after %.3f s, %d processes, %.0f MB" % (self.name, r["start_s"], len(pids), r["idle_mb"]))
        # Warm: the JIT compilers have seen the load.
        load("produce", self.broker, "events", events, args.warm)
        events += args.warm
        self.drain()
        for rate in (1000, 10000):
            before = cpu_s(marked())
            a = load("latency", self.broker, "events", *self.cassandra, "bench", events, rate, args.seconds, 25)
            events += a["events"]
            r["p50_%d" % rate], r["p99_%d" % rate] = a["p50_ms"], a["p99_ms"]
            say("%s: %d/s: p50 %.2f ms, p99 %.2f ms; %.1f CPU-s" % (self.name, rate, a["p50_ms"], a["p99_ms"], cpu_s(marked()) - before))
        self.drain()
        self.pause()
        load("produce", self.broker, "events", events, args.events)
        events += args.events
        r.update(self.backlog(args.events))
        pids = marked()
        r["loaded_mb"], r["disk_mb"] = max(r.pop("loaded_mb", 0), pss_mb(pids)), disk_mb(*self.folders())
        say("%s: backlog %.0f rows/s, %.1f CPU-s per million events, %.0f MB, %.0f MB on disk" % (self.name, r["rows_per_s"], r["cpu_s_per_M"], r["loaded_mb"], r["disk_mb"]))
        got = self.counts()
        if got != (events, events):
            raise RuntimeError("%s: %d events, but %d rows and %d counted" % (self.name, events, *got))
        r["events"] = events
        return r


class Servers:
    """The real broker and store, on ports of this run."""

    def __init__(self, folder):
        self.folder = folder
        self.data = {n: os.path.join(folder, n) for n in ("kafka39", "cassandra", "airflow")}
        self.args = {"kafka39": ["-p", str(BASE), "-q", str(BASE + 1), "-d", self.data["kafka39"], "-m", "1g"],
                     "cassandra": ["-p", str(BASE + 2), "-s", str(BASE + 3), "-j", str(BASE + 4), "-d", self.data["cassandra"], "-m", "1024m"],
                     "airflow": ["-v", "33", "-p", str(BASE + 5), "-d", self.data["airflow"]]}
        self.up = []

    def begin(self, *names):
        self.up += names
        return {n: subprocess.Popen([os.path.join(SCRIPTS, n + ".sh"), "start", *self.args[n]], env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, universal_newlines=True) for n in names}

    def ready(self, starts, *names):
        for n in names:
            out = starts[n].communicate()[0]
            if starts[n].returncode:
                raise RuntimeError("%s did not start: %s" % (n, out[-2000:]))

    def stop(self):
        for n in reversed(self.up):
            subprocess.run([os.path.join(SCRIPTS, n + ".sh"), "stop", *self.args[n]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
        self.up = []

    def prepare(self, side):
        cluster = side.session()
        s = cluster.connect()
        for text in DDL:
            s.execute(text)
        cluster.shutdown()


class Stack(Side):
    name = "stack"

    def __init__(self, folder):
        self.servers = Servers(folder)
        self.broker, self.cassandra = "127.0.0.1:%d" % BASE, ("127.0.0.1", BASE + 2)
        self.checkpoint = os.path.join(folder, "checkpoint")
        self.job = None

    def folders(self):
        return list(self.servers.data.values()) + [self.servers.data["kafka39"] + "-zk", self.checkpoint]

    def start(self):
        os.makedirs(os.path.join(self.servers.data["airflow"], "dags"))
        with open(os.path.join(self.servers.data["airflow"], "dags", "bench.py"), "w") as f:
            f.write(DAG)
        began = time.time()
        starts = self.servers.begin("kafka39", "cassandra", "airflow")
        self.servers.ready(starts, "kafka39", "cassandra")
        self.servers.prepare(self)
        subprocess.run([LOAD, "topic", self.broker, "events", "4"], check=True)
        jars = ",".join(j for j in sorted(glob.glob(os.path.join(STACK, "lib", "spark35", "*.jar"))))
        submit = ["--master", "local[2]", "--driver-memory", "2g", "--jars", jars]
        for k, v in (("spark.sql.shuffle.partitions", "2"), ("spark.ui.enabled", "false"), ("spark.driver.host", "127.0.0.1"), ("spark.driver.bindAddress", "127.0.0.1"),
                     ("spark.sql.session.timeZone", "UTC"), ("spark.local.dir", os.path.join(self.servers.folder, "spark"))):
            submit += ["--conf", "%s=%s" % (k, v)]
        env = environment(BROKER=self.broker, TOPIC="events", CASSANDRA="%s:%d" % self.cassandra, KEYSPACE="bench", CHECKPOINT=self.checkpoint,
                          PYSPARK_SUBMIT_ARGS=" ".join(submit) + " pyspark-shell")
        self.log = open(os.path.join(self.servers.folder, "spark.log"), "w")
        self.job = subprocess.Popen([os.path.join(STACK, "venv", "spark35", "bin", "python"), os.path.join(TOP, "bench", "stack_spark.py")], env=env, stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, stderr=self.log, universal_newlines=True, start_new_session=True)
        load("row", self.broker, "events", *self.cassandra, "bench", 0)
        took = time.time() - began
        self.servers.ready(starts, "airflow")
        say("stack: Airflow healthy after %.1f s" % (time.time() - began))
        return took

    def ask(self, word):
        self.job.stdin.write(word + "\n")
        self.job.stdin.flush()
        while True:
            line = self.job.stdout.readline()
            if not line:
                with open(self.log.name) as f:
                    raise RuntimeError("the Spark job ended: " + f.read()[-3000:])
            if line.startswith("ANSWER "):
                return json.loads(line[7:])["seconds"]

    def drain(self):
        self.ask("drain")

    def pause(self):
        self.ask("stop")

    def backlog(self, count):
        pids = marked()
        before, began = cpu_s(pids), time.time()
        self.ask("start")
        self.ask("drain")
        took = time.time() - began
        return {"rows_per_s": count / took, "cpu_s_per_M": (cpu_s(marked()) - before) / count * 1e6}

    def stop(self):
        if self.job:
            try:
                os.killpg(self.job.pid, signal.SIGKILL)
                self.job.wait(20)
            except (OSError, subprocess.TimeoutExpired):
                pass
        self.servers.stop()


class Tidemill(Side):
    name = "tidemill"

    def __init__(self, folder):
        self.folder = folder
        self.project, self.data = os.path.join(folder, "project"), os.path.join(folder, "data")
        self.config = {"TIDEMILL_LISTEN_KAFKA": "127.0.0.1:%d" % (BASE + 10), "TIDEMILL_LISTEN_CASSANDRA": "127.0.0.1:%d" % (BASE + 11),
                       "TIDEMILL_LISTEN_HTTP": "127.0.0.1:%d" % (BASE + 12)}
        self.broker, self.cassandra = self.config["TIDEMILL_LISTEN_KAFKA"], ("127.0.0.1", BASE + 11)
        self.process = None
        self.write_project()

    def write_project(self):
        for sub, name, text in (("dags", "bench.py", DAG), ("tables", "bench.cql", ";\n".join(DDL) + ";\n"), ("pipelines", "bench.sql", PIPELINE)):
            os.makedirs(os.path.join(self.project, sub))
            with open(os.path.join(self.project, sub, name), "w") as f:
                f.write(text)
        # The same tables without the pipeline: where a backlog is written.
        shutil.copytree(self.project, self.project + "-idle", ignore=shutil.ignore_patterns("pipelines"))

    def folders(self):
        return [self.data]

    def exec(self, project, data, *args):
        os.makedirs(data, exist_ok=True)
        self.log = open(os.path.join(data, "output"), "a")
        self.process = subprocess.Popen([os.path.join(BUILD, "tidemill"), "up", project, *args], env=environment(TIDEMILL_DATA=data, **self.config), stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, start_new_session=True)

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
        self.process = None

    def start_once(self, data):
        began = time.time()
        self.exec(self.project, data)
        load("row", self.broker, "events", *self.cassandra, "bench", 0)
        return time.time() - began

    def start(self):
        took = []
        for n in range(5):
            took.append(self.start_once(os.path.join(self.folder, "start%d" % n)))
            self.end()
        # The one that goes on has the topic of four partitions that the stack has.
        self.exec(self.project + "-idle", self.data)
        self.wait_broker()
        subprocess.run([LOAD, "topic", self.broker, "events", "4"], check=True)
        self.end()
        self.start_once(self.data)
        return statistics.median(took)

    def wait_broker(self):
        import socket
        until = time.time() + 30
        while time.time() < until:
            try:
                host, port = self.broker.split(":")
                socket.create_connection((host, int(port)), 1).close()
                return
            except OSError:
                time.sleep(0.005)
        raise RuntimeError("no broker")

    def drain(self):
        time.sleep(2)

    def pause(self):
        self.end()
        self.exec(self.project + "-idle", self.data)
        self.wait_broker()

    def backlog(self, count):
        self.end()
        others = marked()
        before, began, most = cpu_s(others), time.time(), 0
        self.exec(self.project, self.data, "--until-idle", "--json")
        while True:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                break
            most = max(most, pss_mb(marked()))
            time.sleep(0.02)
        self.process = None
        with open(self.log.name) as f:
            out = f.read()
        if status:
            raise RuntimeError("tidemill ended with %d: %s" % (status, out[-2000:]))
        # Until all was committed; then it counts the rows of its tables for its summary, which the other side does not.
        took = json.loads([line for line in out.splitlines() if line.startswith("{")][-1])["elapsed_s"]
        cpu = usage.ru_utime + usage.ru_stime + cpu_s(others) - before
        self.exec(self.project, self.data)
        self.wait_broker()
        time.sleep(1)
        return {"rows_per_s": count / took, "loaded_mb": most, "cpu_s_per_M": cpu / count * 1e6}

    def stop(self):
        self.end()


class Mixed(Tidemill):
    """Tidemill's engine between the real broker and the real store."""
    name = "mixed"

    def __init__(self, folder):
        super().__init__(folder)
        self.servers = Servers(folder)
        self.broker, self.cassandra = "127.0.0.1:%d" % BASE, ("127.0.0.1", BASE + 2)
        self.config = {"TIDEMILL_LISTEN_HTTP": "127.0.0.1:%d" % (BASE + 12), "TIDEMILL_BROKER": "kafka://" + self.broker,
                       "TIDEMILL_STORE": "cassandra://%s:%d?local_dc=datacenter1" % self.cassandra}

    def folders(self):
        return [self.data] + list(self.servers.data.values()) + [self.servers.data["kafka39"] + "-zk"]

    def start(self):
        began = time.time()
        starts = self.servers.begin("kafka39", "cassandra")
        self.servers.ready(starts, "kafka39", "cassandra")
        self.servers.prepare(self)
        subprocess.run([LOAD, "topic", self.broker, "events", "4"], check=True)
        self.start_once(self.data)
        return time.time() - began

    def pause(self):
        self.end()

    def stop(self):
        self.end()
        self.servers.stop()


# ---- the table ----
ROWS = (("start to the first row readable", "start_s", "s", False, 100), ("rows/s from a backlog", "rows_per_s", "", True, 20),
        ("produced to readable at 1,000/s, p50", "p50_1000", "ms", False, None), ("produced to readable at 1,000/s, p99", "p99_1000", "ms", False, 20),
        ("produced to readable at 10,000/s, p50", "p50_10000", "ms", False, None), ("produced to readable at 10,000/s, p99", "p99_10000", "ms", False, 20),
        ("memory after the first row", "idle_mb", "MB", False, 50), ("memory at work (the most seen)", "loaded_mb", "MB", False, 50),
        ("CPU seconds per million events", "cpu_s_per_M", "", False, None), ("processes", "processes", "", False, None), ("bytes on disk", "disk_mb", "MB", False, None))


def factor(n):
    return "%.0f×" % n if n >= 10 else "%.2g×" % n


def figure(v, unit):
    """Three digits of small numbers, all of large ones."""
    return (format(round(v), ",") if v >= 100 else "%.3g" % v) + (" " + unit if unit else "")


def table(results):
    head = ["what", "the real stack", "Tidemill", "ratio", "line", "Tidemill's engine on the real Kafka and Cassandra"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for title, key, unit, more, line in ROWS:
        a, b, c = (results.get(n, {}).get(key) for n in ("stack", "tidemill", "mixed"))
        ratio = None if a is None or b is None else b / a if more else a / b
        judged = "" if line is None else "≥ %d×%s" % (line, "" if ratio is None else ": held" if ratio >= line else ": NOT HELD")
        lines.append("| " + " | ".join([title] + ["" if v is None else figure(v, unit) for v in (a, b)] + ["" if ratio is None else factor(ratio), judged, "" if c is None else figure(c, unit)]) + " |")
    return "\n".join(lines) + "\n"


def machine():
    with open("/proc/cpuinfo") as f:
        cpu = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "?")
    return "%d cores, %s" % (os.cpu_count(), cpu)


def write(path, mark, text):
    with open(path, encoding="utf-8") as f:
        whole = f.read()
    begin, end = "<!-- %s -->\n" % mark, "<!-- /%s -->\n" % mark
    with open(path, "w", encoding="utf-8") as f:
        f.write(whole[:whole.index(begin) + len(begin)] + text + whole[whole.index(end):])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("names", nargs="*", metavar="NAME")
    p.add_argument("--write", action="store_true")
    p.add_argument("--events", type=int, default=400000, help="of the backlog")
    p.add_argument("--warm", type=int, default=100000, help="before anything is measured")
    p.add_argument("--seconds", type=int, default=20, help="at each rate")
    args = p.parse_args()
    subprocess.run([os.path.join(SCRIPTS, "install.sh"), "kafka39", "cassandra", "spark35", "airflow33"], check=True)
    results, failed, began, load_before = {}, False, time.time(), os.getloadavg()[0]
    for side in (Stack, Tidemill, Mixed):
        if args.names and side.name not in args.names:
            continue
        folder = tempfile.mkdtemp(prefix="bench-stack-", dir=os.environ.get("TMPDIR", "/var/tmp"))
        it = None
        try:
            it = side(folder)
            results[side.name] = it.measure(args)
        except Exception as e:
            failed = True
            say("%s: not measured: %s: %s" % (side.name, type(e).__name__, e))
        finally:
            if it:
                it.stop()
            if os.environ.get("KEEP") != "1":
                shutil.rmtree(folder, ignore_errors=True)
    text = table(results)
    about = "%s: %s, load %.1f when it began and %.1f when it ended, %.0f s in all; backlog of %d events, %d s at each rate. %s.\n\n" % (
        time.strftime("%Y-%m-%d", time.gmtime()), machine(), load_before, os.getloadavg()[0], time.time() - began, args.events, args.seconds, SETTINGS)
    print("\n" + about + text)
    if args.write and not failed and not args.names:
        write(os.path.join(TOP, "docs", "PERFORMANCE.md"), "make bench-stack", about + text)
        short = [line for line in text.splitlines() if not line.startswith(("| CPU", "| processes", "| bytes", "| produced to readable at 1,000", "| memory after"))]
        write(os.path.join(TOP, "README.md"), "make bench-stack", "\n".join("|".join(line.split("|")[:5]) + "|" for line in short) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
