"""A DAG, and @dag."""
import copy
import datetime as dt
import functools
import os
import sys

from tidemill.flow import clock, schedule as schedules, settings
from tidemill.flow.errors import AirflowException, DuplicateTaskIdFound, FailFastDagInvalidTriggerRule, TaskNotFound
from tidemill.flow.names import NOTSET, TriggerRule, validate_key
from tidemill.flow.nodes import TaskGroup, _date, _params, dag_stack, group_stack

registered = []  # DAGs made by `with DAG(...)` or @dag while a file is loaded
made = []  # every DAG made


DAG_ARGUMENTS_IGNORED = {"sla_miss_callback", "default_view", "orientation", "access_control", "auto_register", "owner_links", "deadline", "disable_bundle_versioning",
                         "jinja_environment_kwargs", "allowed_run_types", "rerun_with_latest_version", "full_filepath", "subdag", "multitenancy", "fail_fast", "fail_stop"}


class DAG:
    def __init__(self, dag_id, description=None, schedule=NOTSET, schedule_interval=NOTSET, timetable=None, start_date=None, end_date=None, template_searchpath=None,
                 template_undefined=None, user_defined_macros=None, user_defined_filters=None, default_args=None, concurrency=None, max_active_tasks=None, max_active_runs=None,
                 max_consecutive_failed_dag_runs=0, dagrun_timeout=None, catchup=None, on_success_callback=None, on_failure_callback=None, doc_md=None, params=None,
                 is_paused_upon_creation=None, render_template_as_native_obj=False, tags=None, dag_display_name=None, **extra):
        unknown = sorted(set(extra) - DAG_ARGUMENTS_IGNORED)
        if unknown:
            raise TypeError(f"DAG.__init__() got an unexpected keyword argument {unknown[0]!r}")
        validate_key(dag_id)
        self.dag_id, self.description = dag_id, description
        self.default_args = copy.copy(default_args or {})
        self.task_dict, self.edge_info = {}, {}
        frame = sys._getframe(1)
        while frame is not None and os.path.dirname(os.path.abspath(frame.f_code.co_filename)) == os.path.dirname(os.path.abspath(__file__)):
            frame = frame.f_back
        self.fileloc = frame.f_code.co_filename if frame else ""
        self.line = frame.f_lineno if frame else 0
        self.timezone = self._zone_of(start_date, end_date)
        self.params = _params(params)
        self.default_params_given = self.default_args.get("params")
        if self.default_params_given:
            self.params.update(self.default_params_given)
        self.start_date = clock.convert_to_utc(clock.coerce_datetime(_date(start_date), self.timezone))
        self.end_date = clock.convert_to_utc(clock.coerce_datetime(_date(end_date), self.timezone))
        for key in ("start_date", "end_date"):
            value = self.default_args.get(key)
            if isinstance(value, str):
                value = clock.parse(value, tz=self.timezone)
            if value is not None:
                self.default_args[key] = clock.convert_to_utc(clock.coerce_datetime(value, self.timezone))
        self._schedule(schedule, schedule_interval, timetable)
        self.catchup = catchup if catchup is not None else settings.version < 3
        self.max_active_tasks = max_active_tasks or concurrency or 16
        self.max_active_runs = max_active_runs if max_active_runs is not None else 16
        if self.timetable.active_runs_limit is not None:
            if max_active_runs is not None and max_active_runs > self.timetable.active_runs_limit:
                raise ValueError(f"Invalid max_active_runs: {type(self.timetable).__name__} requires max_active_runs <= {self.timetable.active_runs_limit}")
            self.max_active_runs = min(self.max_active_runs, self.timetable.active_runs_limit)
        self.max_consecutive_failed_dag_runs = max_consecutive_failed_dag_runs
        if dagrun_timeout is not None and not isinstance(dagrun_timeout, dt.timedelta):
            dagrun_timeout = dt.timedelta(seconds=dagrun_timeout)
        self.dagrun_timeout = dagrun_timeout
        self.on_success_callback, self.on_failure_callback = on_success_callback, on_failure_callback
        self.doc_md, self.is_paused_upon_creation = doc_md, is_paused_upon_creation
        self.template_searchpath = [template_searchpath] if isinstance(template_searchpath, str) else template_searchpath
        self.template_undefined = template_undefined
        self.user_defined_macros, self.user_defined_filters = user_defined_macros, user_defined_filters
        self.jinja_environment_kwargs = extra.get("jinja_environment_kwargs")
        self.render_template_as_native_obj = render_template_as_native_obj
        self.fail_fast = bool(extra.get("fail_fast", extra.get("fail_stop", False)))
        self.auto_register = extra.get("auto_register", True)
        self.tags = set(tags or ()) if settings.version >= 3 else list(tags or ())
        for tag in self.tags:
            if len(tag) > 100:
                raise AirflowException("tag cannot be longer than 100 characters")
        self.dag_display_name = dag_display_name or dag_id
        self.task_group = TaskGroup.create_root(self)
        self.has_on_success_callback, self.has_on_failure_callback = on_success_callback is not None, on_failure_callback is not None
        made.append(self)

    def _zone_of(self, start_date, end_date):
        for value in (start_date, self.default_args.get("start_date"), end_date, self.default_args.get("end_date")):
            if isinstance(value, str):
                value = clock.parse(value)
            if isinstance(value, dt.datetime):
                if value.tzinfo is not None:
                    return clock.timezone(clock.zone_name(value.tzinfo)) if clock.zone_name(value.tzinfo) else value.tzinfo
                return clock.UTC
        return clock.UTC

    def _schedule(self, schedule, schedule_interval, timetable):
        given = [v for v in (schedule, schedule_interval) if v is not NOTSET] + ([timetable] if timetable is not None else [])
        if len(given) > 1:
            raise ValueError("At most one allowed for args 'schedule_interval', 'timetable', and 'schedule'.")
        value = given[0] if given else (dt.timedelta(days=1) if settings.version < 3 else None)
        self.schedule = value
        self.timetable = schedules.make(value, self.timezone)
        self.schedule_interval_given = value

    @property
    def schedule_interval(self):
        if settings.version >= 3:
            raise AttributeError("schedule_interval")
        return self.schedule_interval_given if not isinstance(self.schedule_interval_given, schedules.Timetable) else self.timetable.summary

    concurrency = property(lambda self: self.max_active_tasks)
    fail_stop = property(lambda self: self.fail_fast)
    folder = property(lambda self: os.path.dirname(self.fileloc))
    filepath = property(lambda self: self.fileloc)
    relative_fileloc = property(lambda self: os.path.relpath(self.fileloc, settings.dags_dir))
    is_subdag = False
    is_paused = property(lambda self: False)

    def __repr__(self):
        return f"<DAG: {self.dag_id}>"

    def __hash__(self):
        return hash(self.dag_id)

    def __eq__(self, other):
        return self is other

    def __lt__(self, other):
        return self.dag_id < other.dag_id

    def __enter__(self):
        dag_stack.push(self)
        group_stack.push(self.task_group)
        if self.auto_register and self not in registered:
            registered.append(self)
        return self

    def __exit__(self, *_):
        group_stack.pop()
        dag_stack.pop()

    @property
    def tasks(self):
        return list(self.task_dict.values())

    @property
    def task_ids(self):
        return list(self.task_dict)

    @property
    def owner(self):
        return ", ".join({t.owner for t in self.tasks})

    @property
    def task_group_dict(self):
        return self.task_group.get_task_group_dict()

    @property
    def roots(self):
        return [t for t in self.tasks if not t.upstream_task_ids]

    @property
    def leaves(self):
        return [t for t in self.tasks if not t.downstream_task_ids]

    @property
    def latest_execution_date(self):
        return None

    def has_task(self, task_id):
        return task_id in self.task_dict

    def get_task(self, task_id, include_subdags=False):
        if task_id not in self.task_dict:
            raise TaskNotFound(f"Task {task_id} not found")
        return self.task_dict[task_id]

    def add_task(self, task, group=None):
        existing = self.task_dict.get(task.task_id)
        if existing is not None and existing is not task:
            raise DuplicateTaskIdFound(f"Task id '{task.task_id}' has already been added to the DAG")
        task.__dict__["dag"] = self
        task.task_group = group if group is not None and group.dag is self else self.task_group
        if task.start_date is None:
            task.start_date = self.start_date
        if task.end_date is None:
            task.end_date = self.end_date
        self.task_dict[task.task_id] = task
        task.task_group.add(task)
        task.task_group.used_group_ids.add(task.task_id)
        if self.fail_fast and task.trigger_rule != TriggerRule.ALL_SUCCESS and not task.is_teardown and task.trigger_rule != TriggerRule.ALL_DONE_SETUP_SUCCESS:
            raise FailFastDagInvalidTriggerRule("A 'fail_fast' DAG can only have 'all_success' trigger rule")

    def add_tasks(self, tasks):
        for t in tasks:
            self.add_task(t)

    def set_dependency(self, upstream_task_id, downstream_task_id):
        self.get_task(upstream_task_id).set_downstream(self.get_task(downstream_task_id))

    def get_edge_info(self, upstream, downstream):
        return self.edge_info.get(upstream, {}).get(downstream, {})

    def set_edge_info(self, upstream, downstream, info):
        self.edge_info.setdefault(upstream, {})[downstream] = info

    def topological_sort(self, include_subdag_tasks=False):
        def nested(group):
            for node in group.topological_sort():
                if isinstance(node, TaskGroup):
                    yield from nested(node)
                else:
                    yield node
        return tuple(nested(self.task_group))

    def partial_subset(self, *_, **__):
        return self

    def resolve_template_files(self):
        pass

    def get_template_env(self, force_sandboxed=False):
        from tidemill.flow import templating
        return templating.environment(self, None)

    def get_doc_md(self, doc_md):
        return doc_md

    def validate(self):
        pass

    def cli(self, *_, **__):
        pass

    def clear(self, *_, **__):
        pass

    def run(self, *_, **__):
        pass

    def test(self, *_, **__):
        """`if __name__ == "__main__": dag.test()`: not reached when a DAG file is loaded."""

    def get_dagrun(self, execution_date=None, run_id=None, session=None):
        from tidemill.flow import runtime
        return runtime.find_run(self.dag_id, run_id=run_id, logical_date=execution_date)

    def get_run_dates(self, *_, **__):
        return []


def dag_decorator(dag_id=None, *args, **kwargs):
    """@dag: the function builds the DAG's tasks; calling it makes the DAG."""
    names = ["dag_id", "description", "schedule"]
    given_id = dag_id if not callable(dag_id) else None

    def wrap(f):
        import inspect as _inspect

        @functools.wraps(f)
        def factory(*f_args, **f_kwargs):
            bound = _inspect.signature(f).bind(*f_args, **f_kwargs)
            bound.apply_defaults()
            options = {**dict(zip(names[1:], args)), **kwargs}
            if options.get("doc_md") is None and f.__doc__:
                options["doc_md"] = f.__doc__
            dag = DAG(given_id or f.__name__, **options)
            dag.fileloc = f.__code__.co_filename
            dag.line = f.__code__.co_firstlineno
            with dag:
                values = {}
                for name, value in bound.arguments.items():
                    dag.params.setdefault_raw(name, value)
                    from tidemill.flow.stores import DagParam
                    values[name] = DagParam(dag, name, value)
                f(**values)
            return dag

        return factory

    return wrap(dag_id) if callable(dag_id) else wrap
