"""A task while it runs: its context, its instance, its end."""
import collections
import ctypes
import datetime as dt
import logging
import os
import signal
import sys
import traceback

from tidemill.flow import clock, errors, mapping, settings, stores, taskflow, templating, xcom
from tidemill.flow.nodes import DagRunState, DagRunType, TaskInstanceState, current_context

log = logging.getLogger("airflow.task")
_effects = {"skip": [], "xcoms": {}}


def die_with_parent():
    """For children of a task: when the task's process is killed, so are they."""
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    except Exception:
        pass


def skip(task_ids, followed=None):
    """Marks tasks of this run as skipped, together with the end of the running task."""
    _effects["skip"] += [t for t in task_ids if t not in _effects["skip"]]
    _effects["xcoms"]["skipmixin_key"] = {"skipped": sorted(_effects["skip"]), **({"followed": followed} if followed is not None else {})}


def _time(text):
    return clock.DateTime.of(dt.datetime.fromisoformat(text)) if text else None


class _Plain(clock.DateTime):
    """A run's times: plain datetimes in what they print."""

    def __repr__(self):
        fields = [self.year, self.month, self.day, self.hour, self.minute] + ([self.second] if self.second or self.microsecond else []) + ([self.microsecond] if self.microsecond else [])
        zone = "datetime.timezone.utc" if settings.version >= 3 else "Timezone('UTC')"
        return f"datetime.datetime({', '.join(map(str, fields))}, tzinfo={zone})"


def _stored(text):
    return _Plain.of(dt.datetime.fromisoformat(text)) if text else None


class _State:
    """Attributes that one version's object does not have raise as they would there."""
    _absent = {}
    _owner = {}

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(f"'{self._owner.get(settings.version, type(self).__name__)}' has no attribute '{name}'")

    def __getattribute__(self, name):
        if not name.startswith("_") and name in object.__getattribute__(self, "_absent").get(settings.version, ()):
            raise AttributeError(name)
        return object.__getattribute__(self, name)


class DagRun(_State):
    _owner = {2: "airflow.models.dagrun.DagRun object", 3: "airflow.sdk.api.datamodels._generated.DagRun object"}
    _absent = {2: {"run_after"}, 3: {"execution_date", "external_trigger", "queued_at"}}

    def __init__(self, data):
        self._data = data
        self.dag_id, self.run_id = data.get("dag_id"), data.get("run_id")
        kind = data.get("run_type") or "manual"
        self.run_type = DagRunType.members.get(kind, kind)
        state = data.get("state") or "running"
        self.state = DagRunState.members.get(state, state)
        self.logical_date = self.execution_date = _stored(data.get("logical_date"))
        self.data_interval_start, self.data_interval_end = _stored(data.get("data_interval_start")), _stored(data.get("data_interval_end"))
        self.run_after, self.queued_at = _stored(data.get("run_after")), _stored(data.get("queued_at"))
        self.start_date, self.end_date = _stored(data.get("start_date")), _stored(data.get("end_date"))
        self.conf = data.get("conf") or {}
        self.external_trigger = kind == "manual"
        self.consumed_asset_events = []

    id = property(lambda self: self._data.get("id"))

    def get_task_instance(self, task_id, map_index=-1, session=None):
        states = settings.question("task_states", dag_id=self.dag_id, logical_dates=[self._data.get("logical_date")]) or []
        for run in states:
            for t in run["tasks"]:
                if t["task_id"] == task_id and t["map_index"] == map_index:
                    return _OtherInstance(self, t)
        return None

    def get_task_instances(self, state=None, session=None):
        states = settings.question("task_states", dag_id=self.dag_id, logical_dates=[self._data.get("logical_date")]) or []
        wanted = None if state is None else {str.__str__(s) if s is not None else None for s in ([state] if isinstance(state, str) else state)}
        return [_OtherInstance(self, t) for run in states for t in run["tasks"] if wanted is None or t["state"] in wanted]

    def get_previous_dagrun(self, *_, **__):
        data = settings.question("prev_success")
        return DagRun(data) if data else None

    get_previous_scheduled_dagrun = get_previous_dagrun

    def get_state(self):
        return self.state

    @classmethod
    def find(cls, dag_id=None, run_id=None, execution_date=None, **_):
        found = find_run(dag_id, run_id=run_id, logical_date=execution_date)
        return [found] if found else []

    def __repr__(self):
        return f"<DagRun {self.dag_id} @ {self.logical_date}: {self.run_id}, state:{self.state}>"


def find_run(dag_id, run_id=None, logical_date=None):
    data = settings.question("run_get", dag_id=dag_id, **({"run_id": run_id} if run_id else {}),
                             **({"logical_date": clock.convert_to_utc(logical_date).isoformat()} if logical_date else {}))
    return DagRun(data) if data else None


class _OtherInstance:
    def __init__(self, run, data):
        self.dag_id, self.run_id, self.task_id, self.map_index = run.dag_id, run.run_id, data["task_id"], data["map_index"]
        self.state = TaskInstanceState.members.get(data["state"], data["state"])
        self.dag_run = run

    def current_state(self, session=None):
        return self.state

    def __repr__(self):
        return f"<TaskInstance: {self.dag_id}.{self.task_id} {self.run_id} [{self.state}]>"


TaskInstanceKey = collections.namedtuple("TaskInstanceKey", "dag_id task_id run_id try_number map_index")


class TaskInstance(_State):
    _owner = {2: "airflow.models.taskinstance.TaskInstance object", 3: "airflow.sdk.execution_time.task_runner.RuntimeTaskInstance object"}
    _absent = {2: set(), 3: {"operator", "execution_date", "key", "duration"}}

    def __init__(self, task, start, run):
        self.task, self.dag_run = task, run
        self.dag_id, self.run_id, self.task_id = start["dag_id"], start["run_id"], start["task_id"]
        self.map_index, self.try_number, self.max_tries = start["map_index"], start["try_number"], start["max_tries"]
        self.start_date, self.end_date, self.duration = _stored(start["run"].get("ti_start_date")), None, None
        self.first_date = _time(start["run"].get("ti_first_date")) or self.start_date
        self.state = TaskInstanceState.RUNNING
        self.hostname = os.uname().nodename
        self.queue, self.pool = getattr(task, "queue", "default"), getattr(task, "pool", "default_pool")
        self.operator = task.task_type
        self.execution_date = run.logical_date
        self.rendered_map_index = None
        self._log_path = start["log"]
        self.pid, self.unixname = os.getpid(), os.environ.get("USER", "")

    key = property(lambda self: TaskInstanceKey(self.dag_id, self.task_id, self.run_id, self.try_number, self.map_index))
    logical_date = property(lambda self: self.dag_run.logical_date)
    log = property(lambda self: log)
    prev_attempted_tries = property(lambda self: self.try_number - 1)
    is_mapped = property(lambda self: self.map_index >= 0)

    @property
    def log_url(self):
        from urllib.parse import quote
        if settings.version >= 3:
            mapped = f"/mapped/{self.map_index}" if self.map_index >= 0 else ""
            return f"/dags/{self.dag_id}/runs/{quote(self.run_id)}/tasks/{self.task_id}{mapped}?try_number={self.try_number}"
        base = quote(self.dag_run.logical_date.strftime("%Y-%m-%dT%H:%M:%S.%f%z")) if self.dag_run.logical_date else ""
        mapped = f"&map_index={self.map_index}" if self.map_index >= 0 else ""
        return f"/dags/{self.dag_id}/grid?dag_run_id={quote(self.run_id, safe='')}&task_id={self.task_id}{mapped}&base_date={base}&tab=logs"

    @property
    def log_filepath(self):
        return self._log_path

    mark_success_url = log_url

    def xcom_push(self, key, value, execution_date=None, session=None):
        settings.question("xcom_push", key=key, value=xcom.encode(value))

    def xcom_pull(self, task_ids=None, dag_id=None, key="return_value", include_prior_dates=False, session=None, *, map_indexes=None, default=None, run_id=None):
        if dag_id is not None and dag_id != self.dag_id and run_id is None:
            run_id = self.run_id
        single = isinstance(task_ids, str)
        ids = task_ids if single or task_ids is None else list(task_ids)
        if ids is None and settings.version >= 3:
            ids, single = self.task_id, True
        arguments = {"task_ids": ids, "key": key, "include_prior_dates": include_prior_dates}
        if dag_id is not None and dag_id != self.dag_id or run_id is not None:
            arguments.update(dag_id=dag_id or self.dag_id, run_id=run_id)
        rows = settings.question("xcom_pull", **arguments) or []
        if map_indexes is not None:
            wanted = [map_indexes] if isinstance(map_indexes, int) else list(map_indexes)
            rows = [r for r in rows if r["map_index"] in wanted]
            if isinstance(map_indexes, int) and single:
                return xcom.decode(rows[0]["value"]) if rows else default
        if ids is None:
            return xcom.decode(rows[-1]["value"]) if rows else default
        if single:
            if any(r["map_index"] >= 0 for r in rows):
                return mapping.LazyXComSequence([xcom.decode(r["value"]) for r in rows])
            return xcom.decode(rows[0]["value"]) if rows else default
        if settings.version < 3:
            order = {t: i for i, t in enumerate(ids)}
            rows.sort(key=lambda r: (order.get(r["task_id"], 0), r["map_index"]))
            return mapping.LazyXComSequence([xcom.decode(r["value"]) for r in rows])
        out = []
        for t in ids:
            mine = [xcom.decode(r["value"]) for r in rows if r["task_id"] == t]
            out += mine or [default]
        return out

    def get_dagrun(self, session=None):
        return self.dag_run

    def get_template_context(self, session=None, ignore_param_exceptions=True):
        return current_context.get()

    def current_state(self, session=None):
        return self.state

    def get_previous_ti(self, *_, **__):
        return None

    def get_relevant_upstream_map_indexes(self, *_, **__):
        return None

    def are_dependents_done(self, session=None):
        return False

    def get_first_reschedule_date(self, context=None):
        return self.first_date

    def is_eligible_to_retry(self):
        return self.try_number <= self.max_tries

    def next_retry_datetime(self):
        return clock.utcnow() + self.task.retry_delay

    def render_templates(self, context=None, jinja_env=None):
        self.task.render_template_fields(context or current_context.get(), jinja_env)
        return self.task

    def __eq__(self, other):
        return self is other

    __hash__ = object.__hash__

    def __repr__(self):
        mapped = f" map_index={self.map_index}" if self.map_index >= 0 else ""
        return f"<TaskInstance: {self.dag_id}.{self.task_id} {self.run_id}{mapped} [{str.__str__(self.state)}]>"


RuntimeTaskInstance = TaskInstance


# ---- accessors in templates ----
class VariableAccessor:
    def __init__(self, as_json):
        self._json = as_json

    def __getattr__(self, key):
        if key.startswith("__"):
            raise AttributeError(key)
        return stores.Variable.get(key, deserialize_json=self._json)

    __getitem__ = __getattr__

    def get(self, key, default_var=stores.UNSET, default=stores.UNSET):
        fallback = default if default is not stores.UNSET else default_var
        if fallback is stores.UNSET:
            return stores.Variable.get(key, deserialize_json=self._json)
        return stores.Variable.get(key, default_var=fallback, deserialize_json=self._json)


class ConnectionAccessor:
    def __getattr__(self, key):
        if key.startswith("__"):
            raise AttributeError(key)
        return stores.connection(key)

    __getitem__ = __getattr__

    def get(self, key, default_conn=None):
        try:
            return stores.connection(key)
        except errors.AirflowNotFoundException:
            return default_conn


class _Event:
    def __init__(self, asset):
        self.asset, self.extra, self.asset_alias_events, self.used = asset, {}, [], False
        self.raw_key = self.key = asset

    def add(self, asset, extra=None):
        self.asset_alias_events.append((asset, extra or {}))


class OutletEventAccessors(dict):
    def __missing__(self, key):
        if isinstance(key, str):
            from tidemill.flow.schedule import Asset
            key_asset = Asset(name=key, uri=key)
        else:
            key_asset = key
        event = _Event(key_asset)
        dict.__setitem__(self, key, event)
        return event

    def for_asset(self, *, name=None, uri=None):
        return self[uri or name]

    def for_asset_alias(self, *, alias_name):
        return self[alias_name]

    def __repr__(self):
        return f"OutletEventAccessors(_dict={dict.__repr__(self)})"


class InletEventsAccessors(list):
    def __getitem__(self, item):
        return [] if not isinstance(item, int) else list.__getitem__(self, item)

    def __repr__(self):
        if settings.version >= 3:
            return "InletEventsAccessors(_inlets=[], _assets={}, _asset_aliases={})"
        return "InletEventsAccessors(_inlets=[], _datasets={}, _dataset_aliases={}, _session=<sqlalchemy.orm.session.Session object at 0x0>)"


class TriggeringEvents(collections.defaultdict):
    def __repr__(self):
        inner = f"defaultdict(<class 'list'>, {dict.__repr__(self)})"
        return f"TriggeringAssetEventAccessor(_events={inner})" if settings.version >= 3 else inner


class AssetEvent:
    def __init__(self, row):
        from tidemill.flow.schedule import Asset
        self.uri, self.asset = row["uri"], Asset(name=row["uri"], uri=row["uri"])
        self.dataset = self.asset
        import json
        self.extra = json.loads(row["extra"]) if row.get("extra") else {}
        self.source_dag_id, self.source_run_id, self.source_task_id, self.source_map_index = row["dag_id"], row["run_id"], row["task_id"], row["map_index"]
        self.timestamp = clock.from_timestamp(row["at_us"] / 1e6)


class TaskStateStore:
    """Airflow 3.3's per-task state: kept as XComs of the task."""

    def get(self, key, default=None):
        v = current_context.get()["ti"].xcom_pull(task_ids=current_context.get()["ti"].task_id, key="__state__" + key)
        return default if v is None else v

    def set(self, key, value, **_):
        current_context.get()["ti"].xcom_push("__state__" + key, value)

    def delete(self, key):
        self.set(key, None)


class Context(dict):
    """What tasks and templates see. Values that cost a question are found when they are asked for."""

    def __init__(self, values, lazy):
        super().__init__(values)
        self._lazy = lazy
        for key in lazy:
            dict.setdefault(self, key, None)

    def __getitem__(self, key):
        if key in self._lazy:
            self[key] = self._lazy.pop(key)()
        return dict.__getitem__(self, key)

    def __setitem__(self, key, value):
        self.__dict__.get("_lazy", {}).pop(key, None)
        dict.__setitem__(self, key, value)

    def get(self, key, default=None):
        return self[key] if key in self else default

    def items(self):
        return [(k, self[k]) for k in list(self)]

    def values(self):
        return [self[k] for k in list(self)]

    def __copy__(self):
        return Context(dict(self), dict(self._lazy))

    copy = __copy__


def make_context(dag, task, start):
    run = DagRun(start["run"])
    ti = TaskInstance(task, start, run)
    logical, begin, end = (_time(start["run"].get(k)) for k in ("logical_date", "data_interval_start", "data_interval_end"))
    params = dag.params.copy()
    if getattr(task, "params", None):
        for k in task.params:
            dict.__setitem__(params, k, dict.__getitem__(task.params, k))
    for k, v in (run.conf or {}).items():
        params[k] = v
    plain = params.validate() if run.conf else params.dump()
    values = {"dag": dag, "dag_run": run, "inlets": task.inlets, "outlets": task.outlets, "inlet_events": InletEventsAccessors(), "outlet_events": OutletEventAccessors(),
              "macros": templating.macros(), "map_index_template": getattr(task, "map_index_template", None), "params": plain, "run_id": run.run_id, "task": task, "task_instance": ti, "ti": ti,
              "conn": ConnectionAccessor(), "var": {"json": VariableAccessor(True), "value": VariableAccessor(False)}}
    events = TriggeringEvents(list)
    for row in start["run"].get("asset_events", []):
        event = AssetEvent(row)
        events[event.asset if settings.version >= 3 else event.uri].append(event)
    lazy = {}
    previous = {}

    def before():
        if "run" not in previous:
            data = settings.question("prev_success")
            previous["run"] = DagRun(data) if data else None
        return previous["run"]

    for key, name in (("prev_data_interval_start_success", "data_interval_start"), ("prev_data_interval_end_success", "data_interval_end"), ("prev_start_date_success", "start_date"),
                      ("prev_end_date_success", "end_date")):
        lazy[key] = lambda name=name: getattr(before(), name) if before() is not None else None
    if settings.version >= 3:
        values.update({"partition_key": None, "partition_date": None, "task_reschedule_count": 0, "task_state_store": TaskStateStore(), "triggering_asset_events": events})
    else:
        at = start["run"]
        following, preceding = _time(at.get("next_logical_date")), _time(at.get("prev_logical_date"))
        day = dt.timedelta(days=1)
        values.update({"conf": _configuration(), "execution_date": logical, "test_mode": False, "expanded_ti_count": start["run"].get("mapped_length") or None, "triggering_dataset_events": events,
                       "next_execution_date": following, "prev_execution_date": preceding, "next_ds": _day(following), "next_ds_nodash": _day(following, ""), "prev_ds": _day(preceding),
                       "prev_ds_nodash": _day(preceding, ""), "yesterday_ds": _day(logical - day) if logical else None, "yesterday_ds_nodash": _day(logical - day, "") if logical else None,
                       "tomorrow_ds": _day(logical + day) if logical else None, "tomorrow_ds_nodash": _day(logical + day, "") if logical else None})
        lazy["prev_execution_date_success"] = lambda: before().logical_date if before() is not None else None
    values["task_instance_key_str"] = f"{dag.dag_id}__{task.task_id}__{logical:%Y%m%d}" if logical else f"{dag.dag_id}__{task.task_id}__{run.run_id}"
    if logical is None:
        lazy.pop("prev_data_interval_start_success"), lazy.pop("prev_data_interval_end_success")
    if logical is not None or settings.version < 3:
        at = logical or clock.utcnow()
        values.update({"logical_date": logical, "data_interval_start": begin, "data_interval_end": end, "ds": _day(at), "ds_nodash": _day(at, ""), "ts": at.isoformat(),
                       "ts_nodash": at.strftime("%Y%m%dT%H%M%S"), "ts_nodash_with_tz": at.isoformat().replace("-", "").replace(":", "")})
    return Context(values, lazy)


def _day(value, dash="-"):
    return value.strftime(f"%Y{dash}%m{dash}%d") if value is not None else None


def _configuration():
    from tidemill.flow.modules import conf
    return conf


def airflow_env(context):
    run, ti = context["dag_run"], context["ti"]
    logical = run._data.get("logical_date") or ""
    return {"AIRFLOW_CTX_DAG_ID": ti.dag_id, "AIRFLOW_CTX_TASK_ID": ti.task_id, "AIRFLOW_CTX_DAG_RUN_ID": ti.run_id, "AIRFLOW_CTX_TRY_NUMBER": str(ti.try_number),
            "AIRFLOW_CTX_DAG_OWNER": context["task"].owner or "", "AIRFLOW_CTX_EXECUTION_DATE": logical, "AIRFLOW_CTX_LOGICAL_DATE": logical}


# ---- running ----
def _callbacks(given, context):
    for f in given if isinstance(given, (list, tuple)) else [given] if given else []:
        try:
            f(context)
        except Exception:
            log.exception("Failed when executing callback %s", getattr(f, "__name__", f))


def _execute(task, context, timeout_s):
    def on_alarm(*_):
        raise errors.AirflowTaskTimeout(f"Timeout, PID: {os.getpid()}")

    def on_term(*_):
        log.error("Received SIGTERM. Terminating subprocesses.")
        task.on_kill()
        raise errors.AirflowTaskTerminated("Task received SIGTERM signal")

    signal.signal(signal.SIGTERM, on_term)
    if timeout_s:
        signal.signal(signal.SIGALRM, on_alarm)
        signal.setitimer(signal.ITIMER_REAL, timeout_s)
    try:
        try:
            result = task.execute(context)
        except errors.TaskDeferred as deferred:
            result = _deferred(task, context, deferred)
        return result
    except errors.AirflowTaskTimeout:
        task.on_kill()
        raise
    finally:
        if timeout_s:
            signal.setitimer(signal.ITIMER_REAL, 0)


def _deferred(task, context, deferred):
    """Deferrable operators wait for their trigger here, in the task's own process."""
    import asyncio
    while True:
        async def first_event():
            async for event in deferred.trigger.run():
                return event
        event = asyncio.run(first_event())
        try:
            return task.resume_execution(deferred.method_name, {**(deferred.kwargs or {}), "event": getattr(event, "payload", event)}, context)
        except errors.TaskDeferred as again:
            deferred = again


def resolve_task(dag, start, context_of):
    """The operator to execute: for a mapped task, that of its row."""
    task = dag.get_task(start["task_id"])
    if not task.is_mapped:
        return task, context_of(task)
    context = context_of(task)
    resolved = task.expand_input.resolve(context, start["map_index"])
    real = task.unmap(taskflow._unmap_arguments(task, resolved), dag)
    context = context_of(real)
    return real, context


def _outlet_events(task, context):
    from tidemill.flow.schedule import Asset, AssetAlias
    accessors, out = context["outlet_events"], []
    for outlet in task.outlets:
        found = next((e for k, e in dict.items(accessors) if k == outlet or k == getattr(outlet, "uri", None) or k == getattr(outlet, "name", None)), None)
        if isinstance(outlet, AssetAlias):
            for asset, extra in (found.asset_alias_events if found else []):
                uri = asset if isinstance(asset, str) else asset.uri
                out.append({"uri": uri, "extra": xcom.encode(extra)})
                out.append({"uri": outlet.name, "extra": xcom.encode(extra)})
        elif isinstance(outlet, Asset):
            out.append({"uri": outlet.uri, "extra": xcom.encode(found.extra if found else {})})
    return out


def _push_result(task, result, xcoms, context):
    if result is None or not task.do_xcom_push:
        return
    xcoms["return_value"] = xcom.encode(result)
    if getattr(task, "multiple_outputs", False):
        if not isinstance(result, dict):
            raise errors.AirflowException(f"Returned output was type {type(result)} expected dictionary for multiple_outputs")
        for k, v in result.items():
            xcoms[k] = xcom.encode(v)


def run_task(dag, start):
    """Executes one try and gives the message of its end."""
    if start["task_id"] in ("__on_success_callback", "__on_failure_callback"):
        return _dag_callback(dag, start)
    task = context = None
    end = {"op": "end", "state": "success"}
    _effects["skip"], _effects["xcoms"] = [], {}
    try:
        task, context = resolve_task(dag, start, lambda t: make_context(dag, t, start))
        token = current_context.set(context)
        os.environ.update({k: str(v) for k, v in airflow_env(context).items()})
        task.render_template_fields(context)
        _callbacks(task.on_execute_callback, context)
        task.pre_execute(context)
        result = _execute(task, context, start.get("timeout_s"))
        task.post_execute(context, result)
        _push_result(task, result, _effects["xcoms"], context)
        end["asset_events"] = _outlet_events(task, context)
        if context.get("map_index_template"):
            try:
                end["rendered_map_index"] = task.render_template(context["map_index_template"], context)
            except Exception as e:
                log.warning("map_index_template: %s", e)
        context["ti"].state = TaskInstanceState.SUCCESS
        _callbacks(task.on_success_callback, context)
        log.info("Marking task as SUCCESS. dag_id=%s, task_id=%s, run_id=%s", dag.dag_id, task.task_id, start["run_id"])
        current_context.reset(token)
    except errors.AirflowSkipException as e:
        end.update(state="skipped", error=str(e) or None)
        log.info("%s", e or "skipped")
        if context is not None:
            _callbacks(getattr(task, "on_skipped_callback", None), context)
    except errors.DownstreamTasksSkipped as e:
        skip([t if isinstance(t, str) else t.task_id for t in e.tasks])
    except errors.AirflowRescheduleException as e:
        at = clock.convert_to_utc(e.reschedule_date)
        end.update(state="up_for_reschedule", reschedule_at_us=int(at.timestamp() * 1e6))
        log.info("Rescheduling task, marking task as UP_FOR_RESCHEDULE until %s", at)
    except BaseException as e:  # noqa: B902 - whatever ends the task is its end
        _failed(end, e, dag, task, context, start)
    if end["state"] != "failed":
        end["xcoms"], end["skip"] = dict(_effects["xcoms"]), list(_effects["skip"])
    return end


def _failed(end, e, dag, task, context, start):
    no_retry = isinstance(e, (errors.AirflowFailException, errors.AirflowSensorTimeout, errors.AirflowTaskTerminated))
    if isinstance(e, SystemExit) and e.code in (None, 0):
        no_retry = False
    text = "".join(traceback.format_exception(type(e), e, _user_part(e.__traceback__)))
    log.error("Task failed with exception\n%s", text.rstrip())
    line = f"{type(e).__name__}: {e}" if str(e) else type(e).__name__
    hint = missing_package_hint(e)
    if hint:
        log.error("%s", hint)
        line += f" ({hint})"
    end.update(state="failed", error=line[:4000], no_retry=no_retry)
    if context is None or task is None:
        return
    context["exception"] = e
    retry = not no_retry and start["try_number"] <= start["max_tries"]
    context["ti"].state = TaskInstanceState.UP_FOR_RETRY if retry else TaskInstanceState.FAILED
    log.info("Marking task as %s. dag_id=%s, task_id=%s, run_id=%s", "UP_FOR_RETRY" if retry else "FAILED", dag.dag_id, task.task_id, start["run_id"])
    _callbacks(task.on_retry_callback if retry else task.on_failure_callback, context)


def _user_part(tb):
    """The traceback from the user's code on."""
    here = os.path.dirname(os.path.abspath(__file__))
    at = tb
    while at is not None and os.path.abspath(at.tb_frame.f_code.co_filename).startswith(here):
        at = at.tb_next
    return at or tb


PACKAGES = {"kafka": "kafka-python", "cassandra": "cassandra-driver", "yaml": "pyyaml", "bs4": "beautifulsoup4", "PIL": "pillow", "cv2": "opencv-python", "sklearn": "scikit-learn",
            "dotenv": "python-dotenv", "confluent_kafka": "confluent-kafka", "dateutil": "python-dateutil", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient", "jwt": "pyjwt",
            "websocket": "websocket-client", "Crypto": "pycryptodome", "google.cloud": "google-cloud", "pymongo": "pymongo"}


def missing_package_hint(e):
    if not isinstance(e, ModuleNotFoundError) or not e.name:
        return None
    top = e.name.split(".")[0]
    if top == "airflow":
        return f"no Airflow that Tidemill follows has {e.name}: see what the file needs from it, or put a module of that name into {settings.dags_dir}"
    if top in ("operators", "hooks", "sensors", "plugins"):
        return f"modules of Airflow's plugins folder are looked for in {os.path.join(settings.project_dir, 'plugins')} and {settings.dags_dir}: copy {top}/ there"
    if os.path.exists(os.path.join(settings.project_dir, top + ".py")) or os.path.isdir(os.path.join(settings.project_dir, top)):
        return f"{top} lies in {settings.project_dir}, which is not searched: DAG files import from {settings.dags_dir}"
    return f"install it for {sys.executable}: {sys.executable} -m pip install {PACKAGES.get(top, top)}; or set python: in tidemill.yaml to an interpreter that has it"


def _dag_callback(dag, start):
    run = DagRun(start["run"])
    context = {"dag": dag, "dag_run": run, "run_id": run.run_id, "logical_date": run.logical_date, "execution_date": run.logical_date, "ds": _day(run.logical_date),
               "reason": start["run"].get("callback"), "params": dag.params.dump(), "ti": None, "task_instance": None}
    _callbacks(dag.on_success_callback if start["run"].get("callback") == "success" else dag.on_failure_callback, context)
    return {"op": "end", "state": "success"}
