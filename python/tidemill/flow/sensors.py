"""Sensors: tasks that wait, in one process (poke) or by being run again and again (reschedule)."""
import datetime as dt
import os
import time

from tidemill.flow import clock, ops, settings
from tidemill.flow.errors import AirflowException, AirflowFailException, AirflowRescheduleException, AirflowSensorTimeout, AirflowSkipException
from tidemill.flow.nodes import BaseOperator


class PokeReturnValue:
    def __init__(self, is_done, xcom_value=None):
        self.is_done, self.xcom_value = is_done, xcom_value

    def __bool__(self):
        return self.is_done


def _seconds(v):
    return v.total_seconds() if isinstance(v, dt.timedelta) else float(v)


class BaseSensorOperator(BaseOperator, ops.SkipMixin):
    ui_color = "#e6f1f2"
    valid_modes = ["poke", "reschedule"]

    def __init__(self, *, poke_interval=60, timeout=604800, soft_fail=False, mode="poke", exponential_backoff=False, max_wait=None, silent_fail=False, never_fail=False, **kwargs):
        super().__init__(**kwargs)
        self.poke_interval, self.timeout = _seconds(poke_interval), _seconds(timeout)
        if self.poke_interval < 0 or self.timeout < 0:
            raise AirflowException("The poke_interval and the timeout must be non-negative numbers")
        if mode not in self.valid_modes:
            raise AirflowException(f"The mode must be one of {self.valid_modes},'{self.dag.dag_id if self.dag else ''}.{self.task_id}'; received '{mode}'.")
        self.mode, self.soft_fail, self.silent_fail, self.never_fail = mode, soft_fail, silent_fail, never_fail
        self.exponential_backoff, self.max_wait = exponential_backoff, max_wait

    reschedule = property(lambda self: self.mode == "reschedule")

    def poke(self, context):
        raise AirflowException("Override me.")

    def _next_wait(self, tries):
        if not self.exponential_backoff:
            return self.poke_interval
        wait = min(self.poke_interval * 2 ** (tries - 1), 86400)
        return min(wait, _seconds(self.max_wait)) if self.max_wait is not None else wait

    def execute(self, context):
        began = context["ti"].first_date if self.reschedule else clock.utcnow()
        tries = 1
        while True:
            try:
                result = self.poke(context)
            except (AirflowSensorTimeout, AirflowFailException):
                if self.soft_fail or self.never_fail:
                    raise AirflowSkipException("Skipping due to soft_fail is set to True.") from None
                raise
            except AirflowSkipException:
                raise
            except Exception as e:
                if self.silent_fail:
                    self.log.exception("Sensor poke failed")
                    result = False
                elif self.soft_fail or self.never_fail:
                    raise AirflowSkipException("Skipping due to soft_fail is set to True.") from e
                else:
                    raise
            if result:
                self.log.info("Success criteria met. Exiting.")
                return result.xcom_value if isinstance(result, PokeReturnValue) else None
            elapsed = (clock.utcnow() - began).total_seconds()
            if elapsed > self.timeout:
                message = f"Sensor has timed out; run duration of {elapsed} seconds exceeds the specified timeout of {self.timeout}."
                if self.soft_fail or self.never_fail:
                    raise AirflowSkipException(message)
                raise AirflowSensorTimeout(message)
            wait = self._next_wait(tries)
            tries += 1
            if self.reschedule:
                raise AirflowRescheduleException(clock.utcnow() + dt.timedelta(seconds=wait))
            time.sleep(wait)


def poke_mode_only(cls):
    return cls


class PythonSensor(BaseSensorOperator):
    template_fields = ("templates_dict", "op_args", "op_kwargs")

    def __init__(self, *, python_callable, op_args=None, op_kwargs=None, templates_dict=None, **kwargs):
        super().__init__(**kwargs)
        self.python_callable, self.op_args, self.op_kwargs, self.templates_dict = python_callable, op_args or [], op_kwargs or {}, templates_dict

    def poke(self, context):
        context = {**context, **self.op_kwargs, **({"templates_dict": self.templates_dict} if self.templates_dict else {})}
        arguments = ops.callable_arguments(self.python_callable, context, self.op_args, dict(self.op_kwargs))
        value = self.python_callable(*self.op_args, **arguments)
        return value if isinstance(value, PokeReturnValue) else PokeReturnValue(bool(value))


class BashSensor(BaseSensorOperator):
    template_fields = ("bash_command", "env")

    def __init__(self, *, bash_command, env=None, output_encoding="utf-8", retry_exit_code=None, **kwargs):
        super().__init__(**kwargs)
        self.bash_command, self.env, self.output_encoding, self.retry_exit_code = bash_command, env, output_encoding, retry_exit_code

    def poke(self, context):
        import subprocess
        import tempfile
        from tidemill.flow import runtime
        with tempfile.TemporaryDirectory(prefix="airflowtmp") as folder:
            done = subprocess.run(["bash", "-c", self.bash_command], cwd=folder, env=self.env or None, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=runtime.die_with_parent)
        for line in done.stdout.decode(self.output_encoding, errors="backslashreplace").splitlines():
            self.log.info("%s", line)
        if done.returncode == 0:
            return True
        if self.retry_exit_code is not None and done.returncode != self.retry_exit_code:
            raise AirflowFailException(f"Command exited with return code {done.returncode}")
        return False


class TimeSensor(BaseSensorOperator):
    def __init__(self, *, target_time, deferrable=False, end_from_trigger=False, trigger_kwargs=None, **kwargs):
        super().__init__(**kwargs)
        self.target_time = target_time

    def poke(self, context):
        now = clock.utcnow().astimezone(self.dag.timezone)
        return now.timetz().replace(tzinfo=None) > self.target_time.replace(tzinfo=None)


class TimeDeltaSensor(BaseSensorOperator):
    @property
    def template_fields(self):
        return ("delta",) if settings.version >= 3 else ()

    def __init__(self, *, delta, deferrable=False, end_from_trigger=False, **kwargs):
        super().__init__(**kwargs)
        self.delta = delta

    def poke(self, context):
        base = context.get("data_interval_end") or context["dag_run"].run_after
        return clock.utcnow() > base + self.delta


class DateTimeSensor(BaseSensorOperator):
    template_fields = ("target_time",)

    def __init__(self, *, target_time, **kwargs):
        super().__init__(**kwargs)
        self.target_time = target_time.isoformat() if isinstance(target_time, dt.datetime) else target_time

    def poke(self, context):
        return clock.utcnow() > clock.parse(self.target_time)


class DayOfWeekSensor(BaseSensorOperator):
    def __init__(self, *, week_day, use_task_logical_date=False, use_task_execution_day=False, **kwargs):
        super().__init__(**kwargs)
        self.week_day, self.use_task_logical_date = week_day, use_task_logical_date or use_task_execution_day
        self._days = ops.WeekDay.numbers(week_day)

    def poke(self, context):
        at = context["logical_date"] if self.use_task_logical_date else clock.utcnow()
        return at.isoweekday() in self._days


class FileSensor(BaseSensorOperator):
    ui_color = "#91818a"

    @property
    def template_fields(self):
        return ("filepath", "fs_conn_id") if settings.version >= 3 else ("filepath",)

    def __init__(self, *, filepath, fs_conn_id="fs_default", recursive=False, deferrable=False, start_from_trigger=False, trigger_kwargs=None, **kwargs):
        super().__init__(**kwargs)
        self.filepath, self.fs_conn_id, self.recursive = filepath, fs_conn_id, recursive

    def poke(self, context):
        import glob
        from tidemill.flow.stores import FSHook
        full = os.path.join(FSHook(self.fs_conn_id).get_path(), self.filepath)
        self.log.info("Poking for file %s", full)
        for path in glob.glob(full, recursive=self.recursive):
            if os.path.isfile(path) or any(files for _, _, files in os.walk(path)):
                return True
        return False


class ExternalTaskSensor(BaseSensorOperator):
    template_fields = ("external_dag_id", "external_task_id", "external_task_ids", "external_task_group_id")
    ui_color = "#4db7db"

    def __init__(self, *, external_dag_id, external_task_id=None, external_task_ids=None, external_task_group_id=None, allowed_states=None, skipped_states=None, failed_states=None,
                 execution_delta=None, execution_date_fn=None, check_existence=False, deferrable=False, **kwargs):
        super().__init__(**kwargs)
        self.allowed_states = [str.__str__(s) for s in allowed_states] if allowed_states else ["success"]
        self.skipped_states = [str.__str__(s) for s in skipped_states or []]
        self.failed_states = [str.__str__(s) for s in failed_states or []]
        if external_task_id is not None and external_task_ids is not None:
            raise ValueError("Only one of `external_task_id` or `external_task_ids` may be provided to ExternalTaskSensor; use external_task_id or external_task_ids or external_task_group_id.")
        if external_task_id is not None:
            external_task_ids = [external_task_id]
        if execution_delta is not None and execution_date_fn is not None:
            raise ValueError("Only one of `execution_delta` or `execution_date_fn` may be provided to ExternalTaskSensor; not both.")
        self.external_dag_id, self.external_task_id, self.external_task_ids, self.external_task_group_id = external_dag_id, external_task_id, external_task_ids, external_task_group_id
        self.execution_delta, self.execution_date_fn, self.check_existence = execution_delta, execution_date_fn, check_existence
        self._checked = False

    def _dates(self, context):
        at = context["logical_date"]
        if self.execution_delta is not None:
            return [at - self.execution_delta]
        if self.execution_date_fn is not None:
            arguments = ops.callable_arguments(self.execution_date_fn, context, (at,), {})
            result = self.execution_date_fn(at, **arguments)
            return result if isinstance(result, list) else [result]
        return [at]

    def poke(self, context):
        if self.check_existence and not self._checked:
            for task_id in [None, *(self.external_task_ids or [])]:
                if not settings.question("dag_known", dag_id=self.external_dag_id, **({"task_id": task_id} if task_id else {})):
                    raise AirflowException(f"The external DAG {self.external_dag_id} does not exist." if task_id is None else
                                           f"The external task {task_id} in DAG {self.external_dag_id} does not exist.")
            self._checked = True
        dates = self._dates(context)
        runs = settings.question("task_states", dag_id=self.external_dag_id, logical_dates=[clock.convert_to_utc(d).isoformat() for d in dates]) or []

        def count(states):
            n = 0
            for run in runs:
                if self.external_task_ids:
                    found = [t for t in run["tasks"] if t["task_id"] in self.external_task_ids and t["state"] in states]
                    n += len({t["task_id"] for t in found}) >= len(set(self.external_task_ids)) if states is self.allowed_states else bool(found)
                elif self.external_task_group_id:
                    inside = [t for t in run["tasks"] if t["task_id"].startswith(self.external_task_group_id + ".")]
                    n += bool(inside) and (all if states is self.allowed_states else any)(t["state"] in states for t in inside)
                else:
                    n += run["state"] in states
            return n

        if self.failed_states and count(self.failed_states):
            message = f"Some of the external tasks {self.external_task_ids} in DAG {self.external_dag_id} failed." if self.external_task_ids else f"The external DAG {self.external_dag_id} failed."
            if self.soft_fail:
                raise AirflowSkipException(message)
            raise AirflowException(message)
        if self.skipped_states and count(self.skipped_states):
            raise AirflowSkipException(f"The external DAG {self.external_dag_id} reached a state in our states-to-skip-on list. Skipping.")
        return count(self.allowed_states) == len(dates)


class ExternalTaskMarker(ops.EmptyOperator):
    ui_color = "#4db7db"

    @property
    def template_fields(self):
        return ("external_dag_id", "external_task_id", "logical_date" if settings.version >= 3 else "execution_date")

    def __init__(self, *, external_dag_id, external_task_id, execution_date=None, logical_date=None, recursion_depth=10, **kwargs):
        super().__init__(**kwargs)
        self.external_dag_id, self.external_task_id, self.recursion_depth = external_dag_id, external_task_id, recursion_depth
        at = logical_date or execution_date
        self.execution_date = self.logical_date = at.isoformat() if isinstance(at, dt.datetime) else at or "{{ logical_date.isoformat() }}"


class SqlSensor(BaseSensorOperator):
    template_fields = ("sql",)
    template_ext = (".hql", ".sql")

    def __init__(self, *, conn_id, sql, parameters=None, success=None, failure=None, fail_on_empty=False, selector=None, **kwargs):
        super().__init__(**kwargs)
        self.conn_id, self.sql, self.parameters = conn_id, sql, parameters


class TimeSensorAsync(TimeSensor):
    pass


class TimeDeltaSensorAsync(TimeDeltaSensor):
    pass


class DateTimeSensorAsync(DateTimeSensor):
    pass
