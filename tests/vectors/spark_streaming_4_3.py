"""spark/streaming-4.3: the set under its file's name."""
from spark_streaming import run  # noqa: F401
