"""Python clients for the interop tests, each version in a virtual environment of its own, made once in a cache.

    python = clients.python("kafka-python==2.0.2", "six")     # path of an interpreter that has exactly these
    clients.program("kcat")                                   # path of an installed program, or the test is skipped
"""
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def cache():
    path = os.environ.get("TM_CACHE") or os.path.join(ROOT, "build", "cache")
    os.makedirs(path, exist_ok=True)
    return path


def python(*packages):
    """An interpreter with these packages; skips the test where they cannot be had (no network and not in the cache)."""
    name = re.sub(r"[^a-zA-Z0-9.]+", "-", packages[0])
    folder = os.path.join(cache(), f"venv-{name}-{hashlib.sha256(' '.join(packages).encode()).hexdigest()[:8]}")
    interpreter, done = os.path.join(folder, "bin", "python"), os.path.join(folder, "ready")
    with open(folder + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(done):
            return interpreter
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        got = subprocess.run([interpreter, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages], capture_output=True, text=True, check=False)
        if got.returncode != 0:
            pytest.skip(f"{packages[0]} cannot be installed: {got.stderr.strip().splitlines()[-1:]}")
        with open(done, "w", encoding="utf-8") as f:
            f.write("\n".join(packages) + "\n")
    return interpreter


def program(name):
    path = shutil.which(name)
    if not path:
        pytest.skip(f"{name} is not installed")
    return path


def built(name):
    """A program of the build (tests/NAME or NAME); TM_BUILD names the build directory."""
    named = os.environ.get("TM_BUILD")
    for build in [named] if named else ["build-debug", "build", "build-asan"]:
        for path in (os.path.join(ROOT, build, "tests", name), os.path.join(ROOT, build, name)):
            if os.path.exists(path):
                return path
    pytest.skip(f"{name} is not built")
    return None
