"""spark/batch-3.5"""
from spark_batch import run  # noqa: F401
