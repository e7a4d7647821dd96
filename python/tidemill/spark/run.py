"""Starts Spark, makes the queries of a description, and tells how they stand.

By hand (spark-submit, see docs/spark-engine.md) it prints a line per batch. With --events FD it is `tidemill up` that listens: one JSON
object a line on that descriptor ({"op": "spark" | "started" | "batch" | "idle" | "waits" | "failed" | "ended" | "alive" | "fatal", ...}),
commands on standard input ({"op": "start", "query": ...}: its topics are there; {"op": "lease", "until_ns": ...}: lease.py; {"op": "stop"}). The end of
standard input is a stop, too.

A query that ended because another system did not answer starts again from its checkpoint, a little later each time; any other error is
final for it, and the others go on."""
import argparse
import json
import os
import queue
import sys
import threading
import time
import traceback

from .lease import Lease

RETRY_FIRST_S, RETRY_MOST_S = 1, 30
ALIVE_S = 1.0


def arguments(argv):
    p = argparse.ArgumentParser(prog="tidemill.spark", description="Runs a Tidemill project's streaming queries on Apache Spark.")
    p.add_argument("description", help="what `tidemill describe` printed; - for standard input")
    p.add_argument("--kafka", help="bootstrap.servers, instead of the description's")
    p.add_argument("--cassandra", help="host:port,…, instead of the description's")
    p.add_argument("--cassandra-user", help="with the password in the environment as CASSANDRA_PASSWORD")
    p.add_argument("--local-dc", help="Cassandra's data centre next to here")
    p.add_argument("--checkpoint", help="folder or URL of the checkpoints")
    p.add_argument("--until-idle", action="store_true", help="end when every query has read all there is")
    p.add_argument("--events", type=int, metavar="FD", help=argparse.SUPPRESS)
    return p.parse_args(argv)


def load(options):
    if options.description == "-":
        description = json.loads(sys.stdin.readline())
    else:
        with open(options.description, encoding="utf-8") as f:
            description = json.load(f)
    if description.get("version") != 1:
        raise SystemExit("this runner reads version 1 of the description, not %r" % description.get("version"))
    cassandra = description["cassandra"]
    if options.kafka:
        description["kafka"]["servers"] = options.kafka
    if options.cassandra:
        cassandra["hosts"] = options.cassandra
    if options.cassandra_user:
        cassandra.update(user=options.cassandra_user, password=os.environ.get("CASSANDRA_PASSWORD", ""))
    if options.local_dc:
        cassandra["local_dc"] = options.local_dc
    if options.checkpoint:
        description["checkpoint"] = options.checkpoint
    if options.until_idle:
        description["until_idle"] = True
    if not description.get("checkpoint"):
        raise SystemExit("no place for checkpoints: give --checkpoint DIR")
    return description


class Told:
    """Where events go: JSON for the program that listens, lines for people."""

    def __init__(self, fd):
        self.file = os.fdopen(fd, "w", buffering=1, encoding="utf-8") if fd is not None else None
        self.lock = threading.Lock()

    def __call__(self, op, **event):
        with self.lock:
            if self.file:
                try:
                    self.file.write(json.dumps(dict(event, op=op)) + "\n")
                except (BrokenPipeError, ValueError):
                    os._exit(1)  # nobody listens any more
            elif op not in ("alive", "idle"):
                words = " ".join("%s=%s" % (k, json.dumps(v, ensure_ascii=False)) for k, v in event.items() if v not in (None, "", {}, []))
                print("%s %-8s %s" % (time.strftime("%H:%M:%S"), op, words), file=sys.stderr, flush=True)


def lag_of(sources):
    """Records in the topics behind what was read; -1 where no source knows."""
    total, known = 0, False
    for s in sources:
        end, latest = s.get("endOffset"), s.get("latestOffset")
        end, latest = (json.loads(v) if isinstance(v, str) and v[:1] == "{" else v for v in (end, latest))
        if not isinstance(end, dict) or not isinstance(latest, dict):
            continue
        known = True
        for topic, partitions in latest.items():
            if isinstance(partitions, dict):
                total += sum(max(0, at - (end.get(topic) or {}).get(p, at)) for p, at in partitions.items())
    return total if known else -1


def batch_event(p):
    """Spark's StreamingQueryProgress as our event."""
    metrics = next((v for k, v in (p.get("observedMetrics") or {}).items() if k.startswith("tidemill_")), None)
    watermark = (p.get("eventTime") or {}).get("watermark")
    written = metrics["rows"] - metrics.get("null_key", 0) if metrics else max(0, p.get("sink", {}).get("numOutputRows") or 0)
    dead = {"null_key": metrics["null_key"]} if metrics and metrics.get("null_key") else {}
    operators = p.get("stateOperators") or []
    return {"query": p.get("name"), "batch": p["batchId"], "rows_read": p.get("numInputRows") or 0, "rows_written": written, "dead": dead,
            "rows_late": sum(o.get("numRowsDroppedByWatermark") or 0 for o in operators), "took_ms": (p.get("durationMs") or {}).get("triggerExecution") or p.get("batchDuration") or 0,
            "rate": p.get("processedRowsPerSecond") or 0.0, "watermark": watermark, "lag": lag_of(p.get("sources") or []),
            "ops": [{"label": o.get("operatorName") or "state", "state_rows": o.get("numRowsTotal") or 0, "rows": o.get("numRowsUpdated") or 0,
                     "late": o.get("numRowsDroppedByWatermark") or 0} for o in operators]}


def watermark_ms(text):
    import calendar

    if not text:
        return None
    base, _, fraction = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(base, "%Y-%m-%dT%H:%M:%S")) * 1000 + int((fraction + "000")[:3])


class Runner:
    def __init__(self, description, tell, supervised):
        self.description, self.tell, self.supervised = description, tell, supervised
        self.lease = Lease() if description.get("lease") else None
        self.events = queue.Queue()
        self.queries, self.by_run = {}, {}
        self.spark, self.stopping = None, False

    # ---- Spark ----
    def listener(self):
        from pyspark.sql.streaming import StreamingQueryListener

        put = self.events.put

        class Listener(StreamingQueryListener):
            def onQueryStarted(self, event):
                pass

            def onQueryProgress(self, event):
                put(("progress", json.loads(event.progress.json)))

            def onQueryIdle(self, event):
                put(("idle", str(event.id)))

            def onQueryTerminated(self, event):
                put(("terminated", str(event.runId)))

        return Listener()

    def session(self):
        import pyspark
        from pyspark.sql import SparkSession

        from . import death, plan

        death.bind_jvm()
        builder = SparkSession.builder
        if self.description.get("master"):
            builder = builder.master(self.description["master"])
        for name, value in plan.configuration(self.description, pyspark.__version__).items():
            builder = builder.config(name, value)
        self.spark = builder.getOrCreate()
        # Workers on this machine have our PYTHONPATH from the Java process, unless spark-submit began that one before us.
        if "PYSPARK_GATEWAY_PORT" in os.environ or not self.spark.sparkContext.master.startswith("local"):
            self.ship()
        self.spark.streams.addListener(self.listener())
        return pyspark.__version__

    def ship(self):
        """Gives the workers our package, as a zip."""
        import shutil
        import tempfile

        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        self.shipped = tempfile.TemporaryDirectory(prefix="tidemill-spark-")
        self.spark.sparkContext.addPyFile(shutil.make_archive(os.path.join(self.shipped.name, "tidemill_runner"), "zip", root, "tidemill"))

    def fail(self, error, step, query=None):
        from . import errors

        causes = errors.chain(error)
        told = errors.place(errors.explain(causes, step), step, self.plan.views if self.plan else {})
        self.tell("failed" if query else "fatal", query=query.name if query else None, **told)

    plan = shipped = None

    def prepare(self):
        """True when the queries are there to be started."""
        from . import plan

        try:
            version = self.session()
        except Exception as e:
            self.tell("fatal", **{"class": type(e).__name__, "what": "Spark does not start: " + (str(e).strip().split("\n")[0] or type(e).__name__)[:500]})
            return False
        self.tell("spark", version=version, app=self.spark.sparkContext.applicationId)
        threading.Thread(target=self.beat, daemon=True).start()
        try:
            self.plan = plan.Plan(self.spark, self.description, version, self.lease)
            self.queries = {q.name: q for q in self.plan.build()}
        except Exception as e:
            self.broken(e)
            return False
        for q in self.queries.values():
            q.wait_s, q.due, q.state, q.since = RETRY_FIRST_S, None if self.supervised else 0, "held", 0
        return True

    def broken(self, error):
        from . import errors

        step = getattr(self.plan, "step", None)
        why = errors.away(errors.chain(error))
        if why:
            self.tell("fatal", away=True, what=why)
        else:
            self.fail(error, step)

    # ---- queries ----
    def start(self, q):
        q.due = None
        try:
            handle = q.start()
        except Exception as e:
            self.ended(q, e)
            return
        self.by_run[str(handle.runId)] = q
        q.state, q.id, q.since = "running", str(handle.id), time.monotonic()
        last = handle.lastProgress
        self.tell("started", query=q.name, id=q.id, run=str(handle.runId), batch=last["batchId"] if last else -1)

    def ended(self, q, error):
        from . import errors

        if error is None:
            q.state = "ended"
            self.tell("ended", query=q.name)
            return
        causes = errors.chain(error)
        why = errors.away(causes) or (self.lease and errors.overtaken(causes))
        if not why:
            q.state = "failed"
            self.fail(error, q.step, q)
            return
        if time.monotonic() - q.since > 60:
            q.wait_s = RETRY_FIRST_S
        q.state, q.due = "waits", time.monotonic() + q.wait_s
        self.tell("waits", query=q.name, why=why, retry_s=q.wait_s)
        q.wait_s = min(q.wait_s * 2, RETRY_MOST_S)

    def exception_of(self, q):
        try:
            found = q.handle._jsq.exception()
            return found.get() if found.isDefined() else None
        except AttributeError:
            return q.handle.exception()

    def take(self, kind, value):
        """False: the end."""
        if kind == "stop":
            return False
        if kind == "start" and value in self.queries and self.queries[value].state == "held":
            self.queries[value].due = 0
        elif kind == "progress":
            event = batch_event(value)
            event["watermark_ms"] = watermark_ms(event.pop("watermark"))
            q = self.queries.get(event["query"])
            if q:
                q.wait_s, q.quiet = RETRY_FIRST_S, 0
            self.tell("batch", **event)
        elif kind == "idle":
            for q in self.queries.values():
                if getattr(q, "id", None) == value and q.state == "running":
                    q.quiet = getattr(q, "quiet", 0) + 1
                    self.tell("idle", query=q.name)
        elif kind == "terminated" and value in self.by_run:
            q = self.by_run.pop(value)
            self.ended(q, self.exception_of(q))
        return True

    def done(self):
        """By hand, until idle: nothing new came in two looks of each query."""
        over = [q.state in ("ended", "failed") for q in self.queries.values()]
        quiet = [q.state == "running" and getattr(q, "quiet", 0) > 1 for q in self.queries.values()]
        return all(o or (w and self.description.get("until_idle")) for o, w in zip(over, quiet))

    def run(self):
        if not self.prepare():
            return 1
        going = True
        while going:
            now = time.monotonic()
            for q in self.queries.values():
                if q.due is not None and q.due <= now:
                    self.start(q)
            try:
                going = self.take(*self.events.get(timeout=0.2))
            except queue.Empty:
                pass
            process = getattr(self.spark.sparkContext._gateway, "proc", None)
            if process is not None and process.poll() is not None:
                self.gone()
            if not self.supervised and self.done():
                break
        self.stop()
        return 1 if any(q.state == "failed" for q in self.queries.values()) else 0

    def beat(self):
        """Spark's JVM answers: whoever listens may take silence for a hang."""
        while True:
            try:
                self.spark.sparkContext._jvm.java.lang.System.nanoTime()
            except Exception:
                self.gone()
            self.tell("alive")
            time.sleep(ALIVE_S)

    def gone(self):
        """The JVM is no more: there is nothing to stop, and everything to start again."""
        if self.stopping:
            return
        self.tell("fatal", away=True, what="its JVM ended")
        os._exit(3)

    def stop(self):
        self.stopping = True
        for q in self.queries.values():
            if q.handle is not None and q.state == "running":
                try:
                    q.handle.stop()
                except Exception as e:  # a batch that does not end in stopTimeout: it runs again from the checkpoint
                    print("stopping %s: %s" % (q.name, e), file=sys.stderr)
        self.tell("stopped")
        self.spark.stop()
        if self.shipped:
            self.shipped.cleanup()


def commands(runner):
    """Standard input, to its end. Leases and stops do not wait for Spark, which may be starting. After a stop there are leases alone."""
    for line in sys.stdin:
        try:
            command = json.loads(line)
            if command["op"] == "lease":
                if runner.lease:
                    runner.lease.renew(command["until_ns"])
            elif command["op"] == "stop":
                ends(runner)
            else:
                runner.events.put((command["op"], command.get("query")))
        except (ValueError, KeyError):
            print("not a command: %s" % line.strip(), file=sys.stderr)
    ends(runner)


def ends(runner):
    if runner.spark is None:
        os._exit(0)
    runner.events.put(("stop", None))


def main(argv):
    os.environ["TZ"] = "UTC"  # Spark's Python gives times without a zone, in this one
    time.tzset()
    options = arguments(argv)
    description = load(options)
    runner = Runner(description, Told(options.events), options.events is not None)
    if runner.supervised:
        threading.Thread(target=commands, args=(runner,), daemon=True).start()
    try:
        status = runner.run()
    except KeyboardInterrupt:
        runner.stop()
        status = 0
    except Exception as e:
        traceback.print_exc()
        runner.tell("fatal", away=True, what="the runner stopped at %s: %s" % (type(e).__name__, str(e).split("\n")[0][:200]))
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    if runner.supervised:
        os._exit(status)  # a thread of Spark that hangs must not hold us
    return status
