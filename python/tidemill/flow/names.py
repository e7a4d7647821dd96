"""Airflow's words: trigger rules, states, kinds of runs; and "not given"."""
import re

from tidemill.flow import settings
from tidemill.flow.errors import AirflowException


class Missing:
    """Not given; different from None."""

    def __repr__(self):
        return "NOTSET"

    def __bool__(self):
        return False


NOTSET = Missing()


class _Name(str):
    """An enum member that is a text: `TriggerRule.ALL_DONE == "all_done"`."""

    @property
    def value(self):
        return str(self)

    @property
    def name(self):
        return self._name

    def __str__(self):
        return str.__str__(self)

    def __reduce__(self):
        return (str, (str.__str__(self),))


def _names(class_name, qualified, **members):
    """A class with text members. In Airflow 3 some of them print as Class.MEMBER."""
    cls = type(class_name, (_Name,), {})
    for key, value in members.items():
        member = cls(value)
        member._name = key
        setattr(cls, key, member)
    values = {v: getattr(cls, k) for k, v in members.items()}

    def new(c, value, *_):
        return str.__new__(c, value)

    cls.__new__ = staticmethod(new)
    cls.all_values = classmethod(lambda c: set(values))
    cls.is_valid = classmethod(lambda c, v: v in values)
    cls.all_triggers = cls.all_weight_rules = classmethod(lambda c: set(values))
    cls.members = values
    if qualified:
        cls.__str__ = lambda self: f"{class_name}.{self._name}" if settings.version >= 3 and hasattr(self, "_name") else str.__str__(self)
        cls.__format__ = lambda self, spec: format(str(self), spec)
    return cls


TriggerRule = _names("TriggerRule", True, ALL_SUCCESS="all_success", ALL_FAILED="all_failed", ALL_DONE="all_done", ALL_DONE_MIN_ONE_SUCCESS="all_done_min_one_success",
                     ALL_DONE_SETUP_SUCCESS="all_done_setup_success", ONE_SUCCESS="one_success", ONE_FAILED="one_failed", ONE_DONE="one_done", NONE_FAILED="none_failed",
                     NONE_SKIPPED="none_skipped", ALWAYS="always", NONE_FAILED_MIN_ONE_SUCCESS="none_failed_min_one_success", ALL_SKIPPED="all_skipped",
                     DUMMY="dummy", NONE_FAILED_OR_SKIPPED="none_failed_or_skipped")
WeightRule = _names("WeightRule", False, DOWNSTREAM="downstream", UPSTREAM="upstream", ABSOLUTE="absolute")
TaskInstanceState = _names("TaskInstanceState", True, REMOVED="removed", SCHEDULED="scheduled", QUEUED="queued", RUNNING="running", SUCCESS="success", RESTARTING="restarting",
                           FAILED="failed", UP_FOR_RETRY="up_for_retry", UP_FOR_RESCHEDULE="up_for_reschedule", UPSTREAM_FAILED="upstream_failed", SKIPPED="skipped", DEFERRED="deferred")
DagRunState = _names("DagRunState", True, QUEUED="queued", RUNNING="running", SUCCESS="success", FAILED="failed")
DagRunType = _names("DagRunType", True, BACKFILL_JOB="backfill", SCHEDULED="scheduled", MANUAL="manual", ASSET_TRIGGERED="asset_triggered", DATASET_TRIGGERED="dataset_triggered")


class State:
    SUCCESS, RUNNING, FAILED = TaskInstanceState.SUCCESS, TaskInstanceState.RUNNING, TaskInstanceState.FAILED
    NONE, REMOVED, SCHEDULED, QUEUED = None, TaskInstanceState.REMOVED, TaskInstanceState.SCHEDULED, TaskInstanceState.QUEUED
    RESTARTING, UP_FOR_RETRY, UP_FOR_RESCHEDULE = TaskInstanceState.RESTARTING, TaskInstanceState.UP_FOR_RETRY, TaskInstanceState.UP_FOR_RESCHEDULE
    UPSTREAM_FAILED, SKIPPED, DEFERRED, SHUTDOWN = TaskInstanceState.UPSTREAM_FAILED, TaskInstanceState.SKIPPED, TaskInstanceState.DEFERRED, "shutdown"
    finished = frozenset([SUCCESS, FAILED, SKIPPED, UPSTREAM_FAILED, REMOVED])
    unfinished = frozenset([NONE, SCHEDULED, QUEUED, RUNNING, RESTARTING, UP_FOR_RETRY, UP_FOR_RESCHEDULE, DEFERRED])
    failed_states = frozenset([FAILED, UPSTREAM_FAILED])
    success_states = frozenset([SUCCESS, SKIPPED])
    task_states = tuple(TaskInstanceState.members.values())
    dag_states = tuple(DagRunState.members.values())


KEY = re.compile(r"^[\w\-.]+$")


def validate_key(key, max_length=250):
    if not isinstance(key, str):
        raise TypeError(f"The key has to be a string and is {type(key)}:{key}")
    if len(key) > max_length:
        raise AirflowException(f"The key: {key} has to be less than {max_length} characters")
    if not KEY.match(key):
        raise AirflowException(f"The key {key!r} has to be made of alphanumeric characters, dashes, dots, and underscores exclusively")
