"""The processes of Tidemill's Airflow door (src/airflow/door.c starts the first; it says how they hang together).

root: imports the look-alike once, forks a parent per DAG file. parent: loads its file, forks a process per task.
task: runs one try, tells its end, and is gone. Messages: a length of 4 bytes, little-endian, and JSON. Descriptors: 3 is the
socket to the engine, 4 the configuration."""
import ctypes
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import threading

from tidemill import aged, loader, net
from tidemill.flow import modules, runtime, settings

MESSAGE_BYTES_MAX = 48 << 20
# Python knows a compiled module by its source's size and second: one that was edited within that second would stay the old one. And a
# project's folder is not ours to write into.
sys.dont_write_bytecode = True


def die_with_parent(parent):
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class Channel:
    """One end of a socket to the engine."""

    def __init__(self, sock):
        self.sock = sock

    def send(self, message):
        body = json.dumps(message, default=str).encode()
        if len(body) > MESSAGE_BYTES_MAX:
            raise ValueError(f"a message of {len(body)} bytes is larger than {MESSAGE_BYTES_MAX}: keep large data in a table or a file, not in XCom")
        self.sock.sendall(struct.pack("<I", len(body)) + body)

    def _exactly(self, n):
        parts = []
        while n:
            part = self.sock.recv(min(n, 1 << 20))
            if not part:
                return None
            parts.append(part)
            n -= len(part)
        return b"".join(parts)

    def receive(self):
        """(message, socket or None), or None at the end."""
        head, fds, *_ = socket.recv_fds(self.sock, 4, 1)
        while head and len(head) < 4:
            more = self.sock.recv(4 - len(head))
            if not more:
                return None
            head += more
        if not head:
            return None
        body = self._exactly(struct.unpack("<I", head)[0])
        if body is None:
            return None
        return json.loads(body), socket.socket(fileno=fds[0]) if fds else None


class Children:
    """Processes forked here; each is watched through a pidfd, and its end told to the engine."""

    def __init__(self, channel):
        gc.collect()
        gc.freeze()  # the pages of what is loaded by now stay shared with them
        self.channel, self.pids = channel, {}
        self.poll = select.poll()
        self.poll.register(channel.sock, select.POLLIN)

    def fork(self, run):
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                die_with_parent(parent)
                for fd in self.pids:
                    os.close(fd)
                run()
            except BaseException:
                import traceback
                traceback.print_exc()
            finally:
                os._exit(1)
        fd = os.pidfd_open(pid)
        self.pids[fd] = pid
        self.poll.register(fd, select.POLLIN)
        return pid

    def wait(self):
        """True when the engine has sent something (or is gone)."""
        readable = False
        for fd, _ in self.poll.poll():
            if fd in self.pids:
                self.poll.unregister(fd)
                pid = self.pids.pop(fd)
                os.close(fd)
                _, status = os.waitpid(pid, 0)
                try:
                    self.channel.send({"op": "exited", "pid": pid, "status": status})
                except OSError:
                    pass
            else:
                readable = True
        return readable

    def messages(self):
        """What the engine sends, each with its socket; None when it is gone."""
        while True:
            if self.wait():
                yield self.channel.receive()

    def leave(self):
        """The engine wants us gone: when the last child has ended."""
        try:
            self.poll.unregister(self.channel.sock)
        except KeyError:
            pass
        while self.pids:
            self.wait()
        os._exit(0)


# ---- a task ----
class TaskLog:
    """Standard output and error of a task, line by line into its log with Airflow's prefix."""

    def __init__(self, fd, level):
        self.fd, self.level, self.rest = fd, level, ""
        self.encoding, self.errors, self.closed, self.name, self.mode = "utf-8", "replace", False, "<task log>", "w"

    def write(self, text):
        if not isinstance(text, str):
            text = text.decode("utf-8", "replace")
        self.rest += text
        if "\n" in self.rest:
            *lines, self.rest = self.rest.split("\n")
            self._lines(lines)
        return len(text)

    def _lines(self, lines):
        stamp = log_time()
        data = "".join(f"[{stamp}] {{logging_mixin}} {self.level} - {line}\n" for line in lines).encode("utf-8", "replace")
        try:
            os.write(self.fd, data)
        except OSError:
            pass

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def flush(self):
        if self.rest:
            self._lines([self.rest])
            self.rest = ""

    def isatty(self):
        return False

    def writable(self):
        return True

    def readable(self):
        return False

    def fileno(self):
        return self.fd

    def close(self):
        self.flush()


def log_time():
    import time
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}+0000"


def start_logging(path):
    import logging
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)
    sys.stdout, sys.stderr = TaskLog(1, "INFO"), TaskLog(2, "WARNING")
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr

    class Handler(logging.Handler):
        def emit(self, record):
            try:
                text = record.getMessage()
                if record.exc_info:
                    text += "\n" + logging.Formatter().formatException(record.exc_info)
                os.write(2, f"[{log_time()}] {{{record.filename}:{record.lineno}}} {record.levelname} - {text}\n".encode("utf-8", "replace"))
            except Exception:
                self.handleError(record)

    root = logging.getLogger()
    root.handlers[:] = [Handler()]
    root.setLevel(logging.INFO)


def journal(start, end):
    """Notes the end before it is told, so that a crash of the engine in between cannot lose it."""
    path = settings.journal
    if not path or end["state"] == "up_for_reschedule" or "callback" in start["run"]:
        return
    key = f"{start['run']['id']}/{start['task_id']}/{start['map_index']}/{start['try_number']}"
    line = json.dumps({**end, "key": key}, default=str).encode() + b"\n"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        os.write(fd, line)
        os.close(fd)
    except OSError as e:
        print(f"the end could not be noted in {path}: {e}", file=sys.stderr)


def task_main(sock, loaded):
    channel = Channel(sock)
    channel.send({"op": "hello", "pid": os.getpid()})
    start, _ = channel.receive()
    start_logging(start["log"])
    lock = threading.Lock()

    def ask(question):
        with lock:  # tasks may have threads
            channel.send(question)
            message = channel.receive()
        if message is None:
            os._exit(1)
        return message[0].get("answer")

    settings.ask = ask
    if loaded is None or loaded.errors and start["dag_id"] not in loaded.dags:
        loaded = loader.load(start.get("file") or settings.file)
    settings.version = loaded.version
    dag = loaded.dags.get(start["dag_id"])
    if dag is None:
        why = "; ".join(e["error"] for e in loaded.errors) or "the file does not define it any more"
        end = {"op": "end", "state": "failed", "error": f"DAG {start['dag_id']} could not be loaded: {why}", "no_retry": False}
    else:
        os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = settings.dags_dir
        net.client_name = f"airflow/{dag.dag_id}/{start['task_id']}"
        end = runtime.run_task(dag, start)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    flush_producers()
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        json.dumps(end)
    except (TypeError, ValueError):
        end["error"] = str(end.get("error"))
    journal(start, end)
    try:
        channel.send(end)
    except ValueError as e:
        end = {"op": "end", "state": "failed", "error": str(e), "no_retry": True}
        channel.send(end)
    run_exit_handlers()
    os._exit(0)


def flush_producers():
    """Most DAG files never flush: under Airflow the slow end of the process gave their records the time to leave. Here it is done
    before the end is told, so that what a task has sent is in the topic when the task has ended."""
    names = (("kafka", "KafkaProducer"), ("confluent_kafka", "Producer"))
    classes = tuple(c for c in (getattr(sys.modules.get(m), n, None) for m, n in names) if isinstance(c, type))
    if not classes:
        return
    for o in gc.get_objects():
        if issubclass(type(o), classes):
            try:
                o.flush(10)
            except Exception as e:
                print(f"records of a producer could not be sent: {e}", file=sys.stderr)


def run_exit_handlers():
    """Clients that flush at exit (kafka-python's producers) get their chance; a thread that hangs does not."""
    import atexit
    if "concurrent.futures.thread" in sys.modules or "kafka" in sys.modules or threading.active_count() > 1:
        atexit._run_exitfuncs()


# ---- a parent ----
def warm_up(loaded):
    """What every task of the file would import first."""
    from tidemill.flow import templating
    for dag in loaded.dags.values():
        for task in dag.tasks:
            if not task.is_mapped and any(templating._needs(getattr(task, f, None)) and not templating._only_references(getattr(task, f, None)) for f in task.template_fields):
                import jinja2.sandbox  # noqa: F401
                templating.environment(dag, task)
                return


def loading_log(path):
    """What a file prints while it is loaded goes to a log of its own, as Airflow's DAG processor does it."""
    folder = os.path.join(settings.data_dir, "logs", "dag_processor")
    try:
        os.makedirs(folder, exist_ok=True)
        fd = os.open(os.path.join(folder, os.path.relpath(path, settings.dags_dir).replace(os.sep, "__") + ".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    except OSError:
        return
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)


def parent_main(sock, path):
    channel = Channel(sock)
    channel.send({"op": "hello", "pid": os.getpid()})
    settings.file = path
    loading_log(path)
    loaded = loader.load(path)
    definition = loaded.definition()
    unsafe = len(os.listdir("/proc/self/task")) > 1
    try:
        warm_up(loaded)
    except Exception:
        pass
    channel.send({"op": "loaded", "definition": definition, "modules": loader.project_modules(), "unsafe_to_fork": unsafe})
    children = Children(channel)
    for received in children.messages():
        if received is None or received[0]["op"] == "retire":
            children.leave()
        message, task_sock = received
        if message["op"] == "task":
            def run(task_sock=task_sock):
                sock.close()
                if unsafe:
                    # Threads of the file do not live on after a fork: load it anew in a process of its own.
                    os.set_inheritable(task_sock.fileno(), True)
                    os.execv(sys.executable, [sys.executable, "-u", "-m", "tidemill.worker", "--task", str(task_sock.fileno()), path])
                task_main(task_sock, loaded)
            children.fork(run)
            task_sock.close()


# ---- the root ----
def read_config():
    with os.fdopen(os.dup(4), encoding="utf-8") as f:
        f.seek(0)
        config = json.load(f)
    settings.dags_dir, settings.project_dir, settings.data_dir = config["dags_dir"], config["project_dir"], config["data_dir"]
    settings.variables, settings.connections = config["variables"], config["connections"]
    settings.default_version, settings.version = config["default_version"], config["default_version"]
    settings.journal, settings.file = config.get("journal"), None
    os.environ.setdefault("AIRFLOW_HOME", settings.project_dir)
    net.install(config["routes"])
    aged.install()
    modules.install()
    return config


def change_config(config, message):
    """Variables and connections changed while we run: for processes forked or executed from now on."""
    config["variables"], config["connections"] = message["variables"], message["connections"]
    settings.variables, settings.connections = dict(config["variables"]), dict(config["connections"])
    fd = os.memfd_create("tidemill-config")
    with os.fdopen(os.dup(fd), "w", encoding="utf-8") as f:
        json.dump(config, f)
    os.dup2(fd, 4, inheritable=True)
    os.close(fd)


def root_main():
    config = read_config()
    import airflow  # noqa: F401 - the tables are made once, here
    for name in ("airflow.operators.python", "airflow.operators.bash"):
        __import__(name)
    sock = socket.socket(fileno=3)
    sock.set_inheritable(False)
    os.set_inheritable(4, True)
    channel = Channel(sock)
    children = Children(channel)
    for received in children.messages():
        if received is None:
            os._exit(0)
        message, file_sock = received
        if message["op"] == "file":
            def run(file_sock=file_sock, path=message["path"]):
                sock.close()
                parent_main(file_sock, path)
            children.fork(run)
            file_sock.close()
        elif message["op"] == "settings":
            change_config(config, message)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if len(sys.argv) == 4 and sys.argv[1] == "--task":
        read_config()
        settings.file = sys.argv[3]
        task_main(socket.socket(fileno=int(sys.argv[2])), None)
    else:
        root_main()
