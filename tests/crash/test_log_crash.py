"""kill -9 of a process that appends to the log, at random moments: every acknowledged record is there once, in order."""
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors"))
import programs  # noqa: E402

ROUNDS = int(os.environ.get("TM_CRASH_ROUNDS", "20"))


def append_until_killed(program, folder, acknowledged, seconds):
    """Runs the appender for a while, kills it, and takes what it acknowledged into account. Returns how many lines it wrote."""
    process = subprocess.Popen([program, "append", folder] + [str(n) for n in acknowledged], stdout=subprocess.PIPE)
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout))
    reader.start()
    time.sleep(seconds)
    process.kill()
    reader.join()
    process.stdout.close()
    assert process.wait() == -9, "it ended before it was killed"
    for line in lines:
        if not line.endswith(b"\n"):
            continue  # cut by the kill
        partition, batch, offset = (int(x) for x in line.split())
        assert batch == acknowledged[partition], f"partition {partition}: batch {batch} after {acknowledged[partition]}"
        assert offset == batch * 7
        acknowledged[partition] += 1
    return len(lines)


def test_every_acknowledged_record_is_there_once():
    program = programs.program("log_crash")
    seed = int(os.environ.get("TM_CRASH_SEED", time.time_ns() % 1000000))
    print(f"seed {seed}")
    rng = random.Random(seed)
    folder = tempfile.mkdtemp(prefix="tm-log-crash-")
    acknowledged, silent = [0, 0, 0, 0], 0
    try:
        for number in range(ROUNDS):
            silent += append_until_killed(program, folder, acknowledged, rng.choice([0.02, 0.1, 0.3, 0.5]) * (0.5 + rng.random())) == 0
            if number + 1 < ROUNDS and rng.random() < 0.4:
                continue  # killed again before anybody has closed it
            checked = subprocess.run([program, "verify", folder] + [str(n) for n in acknowledged], capture_output=True, text=True)
            assert checked.returncode == 0, f"round {number}, seed {seed}: {checked.stdout}{checked.stderr}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{ROUNDS} kills, {sum(acknowledged) * 7} records acknowledged, {checked.stdout.strip()} found, each once")
    assert silent < ROUNDS / 2
