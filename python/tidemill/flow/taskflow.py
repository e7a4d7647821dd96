"""@task, @task_group, @setup, @teardown, @asset: functions as tasks."""
import functools
import inspect
import re

from tidemill.flow import ops, schedule, sensors
from tidemill.flow.dag import dag_decorator
from tidemill.flow.errors import AirflowException
from tidemill.flow.nodes import (BaseOperator, DependencyMixin, ExpandInput, ExpandKwargs, MappedOperator, MappedTaskGroup, TaskGroup, TaskGroupContext, XComArg, dag_stack)


def unique_task_id(task_id, dag=None, group=None):
    """f, f__1, f__2, …: a function may be called several times in a DAG."""
    dag = dag or dag_stack.get_current()
    if dag is None:
        return task_id
    group = group or TaskGroupContext.get_current_task_group(dag)
    full = group.child_id(task_id) if group else task_id
    if full not in dag.task_dict:
        return task_id
    base = re.split(r"__\d+$", full)[0]
    used = [int(m[1]) for t in dag.task_dict for m in [re.fullmatch(re.escape(base) + r"__(\d+)", t)] if m]
    return f"{re.split(r'__[0-9]+$', task_id)[0]}__{max(used, default=0) + 1}"


CONTEXT_NAMES = {"conn", "dag", "dag_run", "data_interval_end", "data_interval_start", "ds", "ds_nodash", "exception", "execution_date", "expanded_ti_count", "inlets", "inlet_events",
                 "logical_date", "macros", "map_index_template", "next_ds", "next_ds_nodash", "next_execution_date", "outlets", "outlet_events", "params", "prev_data_interval_start_success",
                 "prev_data_interval_end_success", "prev_ds", "prev_ds_nodash", "prev_execution_date", "prev_execution_date_success", "prev_start_date_success", "prev_end_date_success",
                 "reason", "run_id", "start_date", "task", "task_instance", "task_instance_key_str", "templates_dict", "test_mode", "ti", "tomorrow_ds", "tomorrow_ds_nodash",
                 "triggering_dataset_events", "triggering_asset_events", "ts", "ts_nodash", "ts_nodash_with_tz", "var", "yesterday_ds", "yesterday_ds_nodash", "try_number", "conf",
                 "task_reschedule_count", "task_state_store", "asset_state_store", "partition_key", "partition_date"}


def _checked_signature(func):
    """Context names may be parameters; they get None until the task runs."""
    sig = inspect.signature(func)
    out = []
    for p in sig.parameters.values():
        if p.name in CONTEXT_NAMES and p.default not in (None, p.empty):
            raise ValueError(f"Context key parameter {p.name} can't have a default other than None")
        out.append(p.replace(default=None) if p.name in CONTEXT_NAMES and p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) else p)
    try:
        return sig.replace(parameters=out)
    except ValueError:
        fixed, seen = [], False
        for p in out:
            seen = seen or p.default is not p.empty
            fixed.append(p.replace(default=None) if seen and p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY) else p)
        return sig.replace(parameters=fixed)


class DecoratedOperator(BaseOperator):
    """Mixed into an operator class: the arguments are those of the function."""
    custom_operator_name = "@task"

    def __init__(self, *, python_callable, task_id, op_args=None, op_kwargs=None, multiple_outputs=False, kwargs_to_upstream=None, **kwargs):
        group = kwargs.get("task_group") or TaskGroupContext.get_current_task_group(kwargs.get("dag") or dag_stack.get_current())
        task_id = unique_task_id(task_id, kwargs.get("dag"), group)
        _checked_signature(python_callable).bind(*(op_args or ()), **(op_kwargs or {}))
        super().__init__(python_callable=python_callable, task_id=task_id, op_args=op_args or [], op_kwargs=op_kwargs or {}, multiple_outputs=multiple_outputs, **kwargs)

    def _tm_find_references(self):
        for field in ("op_args", "op_kwargs"):
            XComArg.apply_upstream_relationship(self, getattr(self, field, None))

    def execute(self, context):
        result = super().execute(context)
        return self._check_outputs(result)

    def _check_outputs(self, result):
        # multiple_outputs itself is pushed by the runner
        if self.multiple_outputs and result is not None:
            if not isinstance(result, dict):
                raise AirflowException(f"Returned output was type {type(result)} expected dictionary for multiple_outputs")
            for k in result:
                if not isinstance(k, str):
                    raise AirflowException(f"Returned dictionary keys must be strings when using multiple_outputs, found {k} ({type(k)}) instead")
        return result


def _decorated(name, base, operator_name, **attributes):
    return type(DecoratedOperator)(name, (DecoratedOperator, base), {"custom_operator_name": operator_name, **attributes})


PythonDecorated = _decorated("_PythonDecoratedOperator", ops.PythonOperator, "@task")
BranchDecorated = _decorated("_BranchPythonDecoratedOperator", ops.BranchPythonOperator, "@task.branch")
ShortCircuitDecorated = _decorated("_ShortCircuitDecoratedOperator", ops.ShortCircuitOperator, "@task.short_circuit")
VirtualenvDecorated = _decorated("_PythonVirtualenvDecoratedOperator", ops.PythonVirtualenvOperator, "@task.virtualenv", template_fields=ops.PythonVirtualenvOperator.template_fields)
ExternalDecorated = _decorated("_PythonExternalDecoratedOperator", ops.ExternalPythonOperator, "@task.external_python", template_fields=ops.ExternalPythonOperator.template_fields)
BranchVirtualenvDecorated = _decorated("_BranchPythonVirtualenvDecoratedOperator", ops.BranchPythonVirtualenvOperator, "@task.branch_virtualenv",
                                       template_fields=ops.BranchPythonVirtualenvOperator.template_fields)
BranchExternalDecorated = _decorated("_BranchExternalPythonDecoratedOperator", ops.BranchExternalPythonOperator, "@task.branch_external_python",
                                     template_fields=ops.BranchExternalPythonOperator.template_fields)
BranchDecorated.template_fields = ops.PythonOperator.template_fields
SensorDecorated = _decorated("DecoratedSensorOperator", sensors.PythonSensor, "@task.sensor", template_fields=("op_args", "op_kwargs"))


class _BashDecoratedOperator(DecoratedOperator, ops.BashOperator):
    template_fields = ("op_args", "op_kwargs", "bash_command", "env", "cwd")
    custom_operator_name = "@task.bash"

    def __init__(self, *, python_callable, op_args=None, op_kwargs=None, **kwargs):
        self.python_callable = python_callable
        self.op_args, self.op_kwargs = op_args or [], op_kwargs or {}
        kwargs.pop("multiple_outputs", None)
        kwargs.pop("bash_command", None)
        group = kwargs.get("task_group") or TaskGroupContext.get_current_task_group(kwargs.get("dag") or dag_stack.get_current())
        kwargs["task_id"] = unique_task_id(kwargs["task_id"], kwargs.get("dag"), group)
        ops.BashOperator.__init__(self, bash_command="", **kwargs)

    def execute(self, context):
        arguments = ops.callable_arguments(self.python_callable, context, self.op_args, dict(self.op_kwargs))
        command = self.python_callable(*self.op_args, **arguments)
        if not isinstance(command, str) or not command.strip():
            raise TypeError("The returned value from the TaskFlow callable must be a non-empty string.")
        self.bash_command = self.render_template(command, context)
        return ops.BashOperator.execute(self, context)


def _infer_multiple_outputs(func):
    try:
        annotation = inspect.signature(func, eval_str=True).return_annotation
    except Exception:
        annotation = getattr(func, "__annotations__", {}).get("return")
    if annotation in (None, inspect.Parameter.empty, inspect.Signature.empty):
        return False
    origin = getattr(annotation, "__origin__", annotation)
    import collections.abc
    try:
        return isinstance(origin, type) and issubclass(origin, collections.abc.Mapping)
    except TypeError:
        return False


class TaskDecorator:
    """What @task makes of a function: calling it makes a task."""

    def __init__(self, function, operator_class, kwargs, multiple_outputs=None):
        self.function, self.operator_class, self.kwargs = function, operator_class, dict(kwargs)
        self.multiple_outputs = _infer_multiple_outputs(function) if multiple_outputs is None and operator_class is not _BashDecoratedOperator else bool(multiple_outputs)
        self.kwargs.setdefault("task_id", function.__name__)
        self.is_setup = self.is_teardown = False
        self.on_failure_fail_dagrun = False
        functools.update_wrapper(self, function)

    @property
    def __wrapped__(self):
        return self.function

    @__wrapped__.setter
    def __wrapped__(self, _):
        pass

    def _options(self):
        options = dict(self.kwargs)
        if self.function.__doc__ and "doc_md" not in options and not any(options.get(f"doc{s}") for s in ("", "_json", "_yaml", "_rst")):
            options["doc_md"] = self.function.__doc__
        return options

    def __call__(self, *args, **kwargs):
        if self.is_teardown and "trigger_rule" in self.kwargs:
            raise ValueError("Trigger rule not configurable for teardown tasks.")
        op = self.operator_class(python_callable=self.function, op_args=args, op_kwargs=kwargs, multiple_outputs=self.multiple_outputs, **self._options())
        return self._output(op)

    def _output(self, op):
        if self.is_setup:
            op.as_setup()
        if self.is_teardown:
            op.as_teardown(on_failure_fail_dagrun=self.on_failure_fail_dagrun)
        return XComArg(op)

    def override(self, **kwargs):
        new = TaskDecorator(self.function, self.operator_class, {**self.kwargs, **kwargs}, self.multiple_outputs)
        new.is_setup, new.is_teardown, new.on_failure_fail_dagrun = self.is_setup, self.is_teardown, self.on_failure_fail_dagrun
        return new

    def partial(self, **kwargs):
        new = self.override()
        new.kwargs["op_kwargs"] = {**self.kwargs.get("op_kwargs", {}), **kwargs}
        return new

    def _mapped(self, expand_input):
        options = self._options()
        fixed = options.pop("op_kwargs", {})
        group = options.get("task_group") or TaskGroupContext.get_current_task_group(options.get("dag") or dag_stack.get_current())
        options["task_id"] = unique_task_id(options["task_id"], options.get("dag"), group)
        XComArg_refs = [op for op, _ in XComArg.iter_references(fixed)]
        op = MappedOperator(self.operator_class, {**options, "python_callable": self.function, "op_kwargs": fixed, "op_args": [], "multiple_outputs": self.multiple_outputs}, expand_input,
                            op_kwargs_expand=expand_input)
        for other in XComArg_refs:
            op.set_upstream(other)
        return self._output(op)

    def expand(self, **mapped):
        if not mapped:
            raise TypeError("no arguments to expand against")
        known = inspect.signature(self.function).parameters
        if not any(p.kind == p.VAR_KEYWORD for p in known.values()):
            unknown = [k for k in mapped if k not in known]
            if unknown:
                raise TypeError(f"expand() got an unexpected keyword argument {unknown[0]!r}")
        for k, v in mapped.items():
            if not isinstance(v, (list, tuple, dict, XComArg)) and not hasattr(v, "references"):
                raise ValueError(f"expand() got an unexpected type {type(v).__name__!r} for keyword argument {k!r}")
        return self._mapped(ExpandInput(mapped))

    def expand_kwargs(self, kwargs, *, strict=True):
        return self._mapped(ExpandKwargs(kwargs))


def _unmap_arguments(mapped, resolved):
    """Values of expand are arguments of the function for a decorated operator."""
    return {"op_kwargs": resolved} if mapped.op_kwargs_expand is not None else resolved


def _factory(operator_class, **fixed):
    def decorator(python_callable=None, multiple_outputs=None, **kwargs):
        if isinstance(python_callable, str):  # @task.external_python("/path")
            kwargs["python"], python_callable = python_callable, None

        def wrap(f):
            if isinstance(f, type) or not callable(f):
                raise TypeError(f"@task can only be used on a function, not {f!r}")
            return TaskDecorator(f, operator_class, {**fixed, **kwargs}, multiple_outputs)

        return wrap(python_callable) if python_callable is not None else wrap

    return decorator


class _UnavailableDecorated(DecoratedOperator, ops.PythonOperator):
    provider_name = ""

    def execute(self, context):
        raise AirflowException(f"@task.{self.provider_name} is not available: Tidemill does not bring its provider")


def _unavailable(name):
    cls = type(DecoratedOperator)(f"_{name.title()}DecoratedOperator", (_UnavailableDecorated,), {"provider_name": name, "custom_operator_name": f"@task.{name}",
                                                                                             "template_fields": ops.PythonOperator.template_fields})

    def decorator(python_callable=None, multiple_outputs=None, **kwargs):
        known = set(inspect.signature(inspect.unwrap(BaseOperator.__init__)).parameters)
        plain = {k: v for k, v in kwargs.items() if k in known}
        return _factory(cls)(python_callable, multiple_outputs, **plain)

    return decorator


def _condition_decorator(skip_when):
    def decorator(condition, skip_message=None):
        def wrap(task_decorator):
            if not isinstance(task_decorator, TaskDecorator):
                raise TypeError("run_if/skip_if can only be used with task. decorate with @task before @task.run_if.")

            def check(context):
                if bool(condition(context)) == skip_when:
                    from tidemill.flow.errors import AirflowSkipException
                    raise AirflowSkipException(skip_message or "skipped by a condition")

            before = task_decorator.kwargs.get("pre_execute")
            task_decorator.kwargs["pre_execute"] = check if before is None else lambda c: (check(c), before(c))
            return task_decorator
        return wrap
    return decorator


class _Task:
    """The object named `task`: a decorator with decorators as attributes."""
    python = staticmethod(_factory(PythonDecorated))
    branch = staticmethod(_factory(BranchDecorated))
    branch_python = branch
    short_circuit = staticmethod(_factory(ShortCircuitDecorated))
    virtualenv = staticmethod(_factory(VirtualenvDecorated))
    external_python = staticmethod(_factory(ExternalDecorated))
    branch_virtualenv = staticmethod(_factory(BranchVirtualenvDecorated))
    branch_external_python = staticmethod(_factory(BranchExternalDecorated))
    bash = staticmethod(_factory(_BashDecoratedOperator))
    sensor = staticmethod(_factory(SensorDecorated))
    run_if = staticmethod(_condition_decorator(False))
    skip_if = staticmethod(_condition_decorator(True))

    def __call__(self, *args, **kwargs):
        return self.python(*args, **kwargs)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return _unavailable(name)


task = _Task()
dag = dag_decorator


def setup_task(func):
    decorated = func if isinstance(func, TaskDecorator) else task(func) if inspect.isfunction(func) else func
    if isinstance(func, TaskGroupFactory):
        raise AirflowException("Task groups cannot be marked as setup or teardown.")
    decorated.is_setup = True
    return decorated


def teardown_task(_func=None, *, on_failure_fail_dagrun=False):
    def wrap(func):
        if isinstance(func, TaskGroupFactory):
            raise AirflowException("Task groups cannot be marked as setup or teardown.")
        decorated = func if isinstance(func, TaskDecorator) else task(func) if inspect.isfunction(func) else func
        decorated.is_teardown, decorated.on_failure_fail_dagrun = True, on_failure_fail_dagrun
        return decorated
    return wrap(_func) if _func is not None else wrap


class MappedArgument(DependencyMixin):
    """A parameter of a mapped task group: its value in the row of the task that asks."""

    def __init__(self, expand_input, key):
        self._input, self._key = expand_input, key
        self.template_fields = ()

    def references(self):
        return self._input.references()

    def iter_references(self):
        return iter(())

    def resolve(self, context, **_):
        return self._input.resolve(context, max(context["ti"].map_index, 0))[self._key]

    def __getattr__(self, name):
        raise AttributeError(name)


class TaskGroupFactory:
    def __init__(self, function, kwargs):
        self.function, self.kwargs = function, dict(kwargs)
        self.kwargs.setdefault("group_id", function.__name__)
        self.partial_kwargs = {}
        functools.update_wrapper(self, function)

    def _options(self):
        options = dict(self.kwargs)
        options.setdefault("add_suffix_on_collision", True)
        if self.function.__doc__ and not options.get("tooltip"):
            options["tooltip"] = self.function.__doc__
        return options

    def _run(self, group, args, kwargs):
        with group:
            result = self.function(*args, **kwargs)
            if isinstance(result, (list, tuple)) and result and isinstance(result[0], DependencyMixin):
                return group if result is None else result
            return group if result is None else result

    def __call__(self, *args, **kwargs):
        return self._run(TaskGroup(**self._options()), args, {**self.partial_kwargs, **kwargs})

    def override(self, **kwargs):
        new = TaskGroupFactory(self.function, {**self.kwargs, **kwargs})
        new.partial_kwargs = self.partial_kwargs
        return new

    def partial(self, **kwargs):
        new = self.override()
        new.partial_kwargs = {**self.partial_kwargs, **kwargs}
        return new

    def expand(self, **mapped):
        expand_input = ExpandInput(mapped)
        group = MappedTaskGroup(expand_input=expand_input, **self._options())
        values = {k: MappedArgument(expand_input, k) for k in mapped}
        return self._run(group, (), {**self.partial_kwargs, **values})

    def expand_kwargs(self, kwargs):
        expand_input = ExpandKwargs(kwargs)
        group = MappedTaskGroup(expand_input=expand_input, **self._options())
        names = [n for n in inspect.signature(self.function).parameters if n not in self.partial_kwargs]
        return self._run(group, (), {**self.partial_kwargs, **{n: MappedArgument(expand_input, n) for n in names}})


def task_group(group_id=None, **kwargs):
    if callable(group_id):
        return TaskGroupFactory(group_id, {})
    if group_id is not None:
        kwargs["group_id"] = group_id
    return lambda f: TaskGroupFactory(f, kwargs)


# ---- @asset ----
class _AssetMainOperator(ops.PythonOperator):
    def __init__(self, *, definition_name, **kwargs):
        self._definition_name = definition_name
        super().__init__(**kwargs)

    def determine_kwargs(self, context):
        from tidemill.flow.schedule import Asset
        values = {}
        for name, p in inspect.signature(self.python_callable).parameters.items():
            if name == "self":
                values[name] = self.outlets[0] if self.outlets else None
            elif name == "context":
                values[name] = context
            elif name in context:
                values[name] = context[name]
            elif p.default is not p.empty:
                values[name] = p.default
            else:
                values[name] = next((a for a in self.inlets if isinstance(a, Asset) and a.name == name), Asset(name=name))
        return values


def _asset_dag(function, name, outlets, schedule_value, options):
    from tidemill.flow.dag import DAG
    with DAG(dag_id=name, schedule=schedule_value, **options) as made_dag:
        made_dag.fileloc = function.__code__.co_filename
        inlets = [schedule.Asset.ref(name=n) for n, p in inspect.signature(function).parameters.items()
                  if n not in ("self", "context") and n not in CONTEXT_NAMES and p.default is p.empty]
        _AssetMainOperator(task_id=function.__name__, definition_name=name, python_callable=function, outlets=outlets, inlets=inlets)
    return made_dag


class _AssetDecorator:
    DAG_OPTIONS = ("dag_id", "description", "dag_display_name", "params", "on_success_callback", "on_failure_callback", "access_control", "owner_links", "tags", "is_paused_upon_creation",
                   "start_date", "catchup", "max_active_runs")

    def __init__(self, **kwargs):
        self.kwargs = kwargs

    def __call__(self, f):
        k = dict(self.kwargs)
        dag_options = {n: k.pop(n) for n in self.DAG_OPTIONS if n in k}
        dag_options.pop("dag_id", None)
        made = schedule.Asset(name=k.get("name") or f.__name__, uri=k.get("uri") or k.get("name") or f.__name__, group=k.get("group"), extra=k.get("extra"), watchers=k.get("watchers"))
        _asset_dag(f, self.kwargs.get("dag_id") or made.name, [made], k.get("schedule"), {"catchup": False, **dag_options})
        return made

    @staticmethod
    def multi(*, schedule=None, outlets=(), name=None, dag_id=None, **kwargs):
        def wrap(f):
            options = {n: v for n, v in kwargs.items() if n in _AssetDecorator.DAG_OPTIONS}
            return _asset_dag(f, dag_id or name or f.__name__, list(outlets), schedule, {"catchup": False, **options})
        return wrap


asset = _AssetDecorator
