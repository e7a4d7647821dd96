"""python -m tidemill.spark, or spark-submit of this file: runs the streaming queries of a description (`tidemill describe`)."""
import os
import sys

if not __package__:  # by its path: the folder of the package becomes known here, and through the environment to the workers of a Spark that begins now
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.path[0] = here
    os.environ["PYTHONPATH"] = os.pathsep.join([here] + [p for p in [os.environ.get("PYTHONPATH")] if p])

from tidemill.spark.run import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
