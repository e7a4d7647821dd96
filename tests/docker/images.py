"""The images that compose.stack.yaml names: pulled, or stand-ins built from what tests/stack has installed (images/README.md)."""
import os
import shutil
import tempfile

from engine import HOME, Skip, say

HERE = os.path.dirname(os.path.abspath(__file__))
STACK = os.environ.get("TIDEMILL_STACK", os.environ.get("STACK_HOME", "/var/tmp/tidemill-stack"))
# image: (folder of images/, {name in the build context: what to copy there}, build arguments)
STAND_INS = {
    "zookeeper:3.9.5": ("zookeeper", {"lib": "lib/zookeeper"}, {}),
    "apache/kafka:3.9.2": ("kafka", {"lib": "lib/kafka39"}, {}),
    "cassandra:5.0.9": ("cassandra", {"lib": "lib/cassandra"}, {}),
    "apache/spark:3.5.9": ("spark", {"spark": "venv/spark35/lib/python3.11/site-packages/pyspark"}, {}),
    "postgres:15.20": ("postgres", {}, {}),
    "apache/airflow:3.3.2": ("airflow", {"venv": "venv/airflow33"}, {"AIRFLOW_VERSION": "3.3.2", "VENV": os.path.join(STACK, "venv/airflow33")}),
}


def build(engine, tag, folder, more=(), args=None):
    os.makedirs(HOME, exist_ok=True)
    context = tempfile.mkdtemp(prefix="context-", dir=HOME)
    try:
        shutil.copytree(os.path.join(HERE, "images", folder), context, dirs_exist_ok=True)
        for name, source in dict(more).items():
            full = os.path.join(STACK, source)
            if not os.path.isdir(full):
                raise Skip("%s cannot be pulled, and %s is not there to make a stand-in of (make stack-up installs it)" % (tag, full))
            shutil.copytree(full, os.path.join(context, name), symlinks=True, copy_function=link)
        words = [word for name, value in (args or {}).items() for word in ("--build-arg", "%s=%s" % (name, value))]
        engine.run("build", "-q", "--network", "host", "-t", tag, *words, context)
    finally:
        shutil.rmtree(context, ignore_errors=True)


def link(source, target):
    """Copies by a hard link where both are on one file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def stack(engine):
    missing = [tag for tag in STAND_INS if not engine.has(tag) and not engine.pull(tag)]
    if missing and not engine.has("tidemill-test-jre"):
        build(engine, "tidemill-test-jre", "jre")
    for tag in missing:
        folder, more, args = STAND_INS[tag]
        say("%s cannot be pulled: a stand-in is built from packages" % tag)
        build(engine, tag, folder, more, args)
