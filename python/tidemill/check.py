"""`tidemill check`: loads each DAG file in a process of its own and writes what was found as JSON to descriptor 3."""
import json
import os
import select
import signal
import time

from tidemill import loader, worker

LIMIT_S = 30


def _one(path):
    """The definition of a file, loaded in a child."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        try:
            definition = loader.load(path).definition()
        except BaseException as e:
            definition = {"file": path, "dags": [], "errors": [loader.problem(e, path)]}
        data = json.dumps(definition, default=str).encode()
        while data:
            data = data[os.write(write, data):]
        os._exit(0)
    os.close(write)
    parts, until = [], time.monotonic() + LIMIT_S
    while True:
        ready, _, _ = select.select([read], [], [], max(0, until - time.monotonic()))
        if not ready:
            os.kill(pid, signal.SIGKILL)
            break
        part = os.read(read, 1 << 20)
        if not part:
            break
        parts.append(part)
    os.close(read)
    _, status = os.waitpid(pid, 0)
    try:
        return json.loads(b"".join(parts))
    except ValueError:
        why = "did not finish loading in 30 s" if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL else f"ended the process that loaded it (status {status})"
        return {"file": path, "dags": [], "errors": [{"file": path, "line": 0, "column": 0, "error": f"the file {why}",
                                                     "hint": "code at module level runs each time the file is loaded: put loops and requests inside the task's function"}]}


def main():
    config = worker.read_config()
    import airflow  # noqa: F401
    found = [_one(path) for path in config["files"]]
    seen = {}
    for f in found:
        for d in f["dags"]:
            if d["dag_id"] in seen and seen[d["dag_id"]] != f["file"]:
                f["errors"].append({"file": f["file"], "line": d.get("line", 0), "column": 0, "error": f"DAG id {d['dag_id']!r} is defined in {seen[d['dag_id']]} too", "hint": "give each DAG its own dag_id"})
            seen.setdefault(d["dag_id"], f["file"])
    with os.fdopen(3, "w", encoding="utf-8") as out:
        json.dump(found, out)


if __name__ == "__main__":
    main()
