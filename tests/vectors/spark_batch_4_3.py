"""spark/batch-4.3"""
from spark_batch import run  # noqa: F401
