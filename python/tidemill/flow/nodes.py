"""Task groups and operators, as a DAG file builds them while it is loaded."""
import contextvars
import copy
import datetime as dt
import functools
import inspect
import logging
import re

from tidemill.flow import clock, settings
from tidemill.flow.edges import DependencyMixin, EdgeModifier, Label, SetupTeardownContext, _list  # noqa: F401 - one place to import from
from tidemill.flow.errors import AirflowDagCycleException, AirflowException, DuplicateTaskIdFound
from tidemill.flow.names import (NOTSET, DagRunState, DagRunType, Missing, State, TaskInstanceState, TriggerRule, WeightRule, _names, validate_key)  # noqa: F401
from tidemill.flow.outputs import ConcatXComArg, ExpandInput, ExpandKwargs, MapXComArg, PlainXComArg, XComArg, ZipXComArg  # noqa: F401

DEFAULT_RETRY_DELAY = dt.timedelta(seconds=300)


class DAGNode(DependencyMixin):
    dag = None
    task_group = None
    start_date = end_date = None

    @property
    def dag_id(self):
        return self.dag.dag_id if self.dag else "_in_memory_dag_"

    @property
    def label(self):
        group = self.task_group
        if group and group.node_id and group.prefix_group_id and self.node_id.startswith(group.node_id + "."):
            return self.node_id[len(group.node_id) + 1:]
        return self.node_id

    def has_dag(self):
        return self.dag is not None

    def set_upstream(self, other, edge_modifier=None):
        self._set_relatives(other, True, edge_modifier)

    def set_downstream(self, other, edge_modifier=None):
        self._set_relatives(other, False, edge_modifier)

    def _set_relatives(self, other, upstream, edge_modifier=None):
        items = _list(other)
        tasks = []
        for item in items:
            if isinstance(item, EdgeModifier):
                (item.set_downstream if upstream else item.set_upstream)(self)
                continue
            if not isinstance(item, DependencyMixin):
                raise AirflowException(f"Relationships can only be set between Operators; received {type(item).__name__}")
            item.update_relative(self, not upstream, edge_modifier)
            tasks += item.leaves if upstream else item.roots
        dag = self.dag or next((t.dag for t in tasks if t.dag), None)
        if dag is not None and not self.dag:
            self.dag = dag
        for t in tasks:
            if isinstance(t, Operator):
                if dag is not None and t.dag is None:
                    t.dag = dag
                if t.dag is not self.dag and t.dag and self.dag:
                    raise AirflowException(f"Tried to set relationships between tasks in more than one DAG: {self.dag}, {t.dag}")
            a, b = (t, self) if upstream else (self, t)
            if edge_modifier is not None and self.dag is not None:
                edge_modifier.add_edge_info(self.dag, a.node_id, b.node_id)
            a.downstream_task_ids.add(b.node_id)
            b.upstream_task_ids.add(a.node_id)

    @property
    def downstream_list(self):
        return [self.dag.get_task(i) for i in self.downstream_task_ids] if self.dag else []

    @property
    def upstream_list(self):
        return [self.dag.get_task(i) for i in self.upstream_task_ids] if self.dag else []

    def get_direct_relative_ids(self, upstream=False):
        return self.upstream_task_ids if upstream else self.downstream_task_ids

    def get_direct_relatives(self, upstream=False):
        return self.upstream_list if upstream else self.downstream_list


# ---- the stacks of `with` ----
class _Stack:
    def __init__(self):
        self.items = []

    def push(self, item):
        self.items.append(item)

    def pop(self):
        return self.items.pop()

    def get_current(self):
        return self.items[-1] if self.items else None


dag_stack, group_stack = _Stack(), _Stack()


class DagContext:
    push_context_managed_dag = staticmethod(dag_stack.push)
    pop_context_managed_dag = staticmethod(dag_stack.pop)
    get_current_dag = get_current = staticmethod(dag_stack.get_current)
    current_autoregister_module_name = None


class TaskGroupContext:
    @staticmethod
    def get_current_task_group(dag):
        current = group_stack.get_current()
        if current is not None and (dag is None or current.dag is dag):
            return current
        dag = dag or dag_stack.get_current()
        return dag.task_group if dag is not None else None


# ---- groups ----
class TaskGroup(DAGNode):
    is_mapped = False

    def __init__(self, group_id=None, prefix_group_id=True, parent_group=None, dag=None, default_args=None, tooltip="", ui_color="CornflowerBlue", ui_fgcolor="#000",
                 add_suffix_on_collision=False, group_display_name="", doc_md=None, **_):
        self.children, self.used_group_ids = {}, set()
        self.prefix_group_id, self.tooltip, self.ui_color, self.ui_fgcolor = prefix_group_id, tooltip, ui_color, ui_fgcolor
        self.default_args = copy.copy(default_args or {})
        self.group_display_name, self.doc_md = group_display_name, doc_md
        self.upstream_group_ids, self.downstream_group_ids = set(), set()
        self.upstream_task_ids, self.downstream_task_ids = set(), set()
        self._group_id = group_id
        self.parent_group = None
        if group_id is None:
            self.dag, self.used_group_ids = dag, set()
            return
        if not isinstance(group_id, str) or not group_id:
            raise ValueError("group_id must be str")
        validate_key(group_id)
        dag = dag or (parent_group.dag if parent_group else None) or dag_stack.get_current()
        if dag is None:
            raise RuntimeError("TaskGroup can only be used inside a dag")
        self.dag = dag
        self.parent_group = parent_group or TaskGroupContext.get_current_task_group(dag)
        self.default_args = {**self.parent_group.default_args, **self.default_args}
        self.used_group_ids = self.parent_group.used_group_ids
        if self.group_id in self.used_group_ids:
            if not add_suffix_on_collision:
                raise DuplicateTaskIdFound(f"group_id '{self.group_id}' has already been added to the DAG")
            base = re.split(r"__\d+$", group_id)[0]
            n = 1
            while self.parent_group.child_id(f"{base}__{n}") in self.used_group_ids:
                n += 1
            self._group_id = f"{base}__{n}"
        self.used_group_ids.add(self.group_id)
        self.used_group_ids.add(self.upstream_join_id)
        self.used_group_ids.add(self.downstream_join_id)
        self.parent_group.add(self)

    @classmethod
    def create_root(cls, dag):
        return cls(None, dag=dag)

    @property
    def task_group(self):
        return self.parent_group

    @property
    def is_root(self):
        return self._group_id is None

    @property
    def group_id(self):
        if self.parent_group and self.parent_group.prefix_group_id and self.parent_group._group_id:
            return self.parent_group.child_id(self._group_id)
        return self._group_id

    @property
    def node_id(self):
        return self.group_id

    @property
    def label(self):
        return self._group_id

    def child_id(self, label):
        return f"{self.group_id}.{label}" if self.prefix_group_id and self.group_id else label

    @property
    def upstream_join_id(self):
        return f"{self.group_id}.upstream_join_id"

    @property
    def downstream_join_id(self):
        return f"{self.group_id}.downstream_join_id"

    def add(self, node):
        key = node.node_id
        if key in self.children:
            raise DuplicateTaskIdFound(f"{'Task' if isinstance(node, Operator) else 'TaskGroup'} id '{key}' has already been added to the DAG")
        self.children[key] = node

    def __iter__(self):
        for child in self.children.values():
            if isinstance(child, TaskGroup):
                yield from child
            else:
                yield child

    def iter_tasks(self):
        return iter(self)

    def has_task(self, task):
        return any(t is task or t.node_id == getattr(task, "node_id", task) for t in self)

    def get_child_by_label(self, label):
        return self.children[self.child_id(label)]

    def get_task_group_dict(self):
        out = {self.group_id: self}
        for c in self.children.values():
            if isinstance(c, TaskGroup):
                out.update(c.get_task_group_dict())
        return out

    @property
    def roots(self):
        return list(self.get_roots())

    @property
    def leaves(self):
        return list(self.get_leaves())

    def get_roots(self):
        ids = {t.node_id for t in self}
        for t in self:
            if not (t.upstream_task_ids & ids):
                yield t

    def get_leaves(self):
        ids = {t.node_id for t in self}
        seen = set()

        def before(task):
            for u in task.upstream_list:
                if u.node_id not in ids:
                    continue
                if u.is_teardown:
                    yield from before(u)
                elif u.node_id not in seen and not any(d.node_id in ids and not d.is_teardown for d in u.downstream_list) and not u.is_setup:
                    seen.add(u.node_id)
                    yield u

        for t in self:
            if t.downstream_task_ids & ids:
                continue
            if t.is_teardown:
                yield from before(t)
            elif t.node_id not in seen:
                seen.add(t.node_id)
                yield t

    def update_relative(self, other, upstream=True, edge_modifier=None):
        """`other` was set up- or downstream of this group."""
        mine, theirs = ("upstream", "downstream") if upstream else ("downstream", "upstream")
        if isinstance(other, TaskGroup):
            getattr(self, mine + "_group_ids").add(other.group_id)
            getattr(other, theirs + "_group_ids").add(self.group_id)
        else:
            for task in (other.roots if upstream is False else other.leaves) if hasattr(other, "roots") else [other]:
                getattr(self, mine + "_task_ids").add(task.node_id)
        if edge_modifier is not None and self.dag is not None:
            a, b = (other, self) if upstream else (self, other)
            if isinstance(other, Operator):
                a_id = a.node_id if isinstance(a, Operator) else a.downstream_join_id
                b_id = b.node_id if isinstance(b, Operator) else b.upstream_join_id
                edge_modifier.add_edge_info(self.dag, a_id, b_id)

    def _set_relatives(self, other, upstream, edge_modifier=None):
        for item in _list(other):
            if isinstance(item, EdgeModifier):
                (item.set_downstream if upstream else item.set_upstream)(self)
                continue
            if not isinstance(item, DependencyMixin):
                raise AirflowException(f"Relationships can only be set between Operators; received {type(item).__name__}")
            self.update_relative(item, upstream, edge_modifier)
        for task in self.get_roots() if upstream else self.get_leaves():
            (task.set_upstream if upstream else task.set_downstream)([i for i in _list(other) if not isinstance(i, EdgeModifier)])

    def __enter__(self):
        group_stack.push(self)
        return self

    def __exit__(self, *_):
        group_stack.pop()

    def as_setup(self):
        for t in self:
            t.as_setup()
        return self

    def as_teardown(self, **kw):
        for t in self:
            t.as_teardown(**kw)
        return self

    def topological_sort(self):
        unsorted, out = dict(self.children), []
        while unsorted:
            moved = False
            for node in list(unsorted.values()):
                for up in node.upstream_list:
                    at = up
                    while at is not None and at.node_id not in unsorted:
                        at = at.task_group
                    if at is not None and at is not node and at.node_id in unsorted and not (isinstance(node, TaskGroup) and up in list(node)):
                        break
                    if at is not None and at is not up:
                        break
                else:
                    moved = True
                    del unsorted[node.node_id]
                    out.append(node)
            if not moved:
                raise AirflowDagCycleException(f"A cyclic dependency occurred in dag: {self.dag.dag_id}")
        return out


class MappedTaskGroup(TaskGroup):
    is_mapped = True

    def __init__(self, *, expand_input, **kw):
        super().__init__(**kw)
        self.expand_input = expand_input
        for op in expand_input.references():
            op.update_relative(self, False)
            self.update_relative(op, True)

    def __exit__(self, *args):
        for op in self.expand_input.references():
            op.set_downstream(self)
        super().__exit__(*args)


# ---- operators ----
def _parameters(func):
    cached = func.__dict__.get("_tm_parameters")
    if cached is None:
        sig = list(inspect.signature(func).parameters.values())[1:]
        names = [p.name for p in sig if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        required = {p.name for p in sig if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)} - {"task_id"}
        cached = func._tm_parameters = (names, required)
    return cached


def _default_args(kwargs):
    dag = kwargs.get("dag") or dag_stack.get_current()
    group = kwargs.get("task_group") or TaskGroupContext.get_current_task_group(dag)
    defaults = dict(dag.default_args) if dag is not None else {}
    if group is not None:
        defaults.update(group.default_args)
    defaults.update(kwargs.get("default_args") or {})
    return dag, group, defaults


def _with_defaults(func):
    """Wraps an operator's __init__: keyword arguments only, default_args of DAG and group fill what was not given."""

    @functools.wraps(func)
    def init(self, *args, **kwargs):
        if args:
            raise AirflowException("Use keyword arguments when initializing operators")
        outermost = not self.__dict__.get("_tm_in_init")
        self._tm_in_init = True
        names, required = _parameters(func)
        dag, group, defaults = _default_args(kwargs)
        for name in names:
            if name not in kwargs and name in defaults:
                kwargs[name] = defaults[name]
        missing = sorted(required - kwargs.keys())
        if missing:
            raise TypeError("missing keyword argument " + repr(missing[0]) if len(missing) == 1 else "missing keyword arguments " + ", ".join(map(repr, missing)))
        if outermost:
            self._tm_init_kwargs = dict(kwargs)
            if "default_args" not in names and "default_args" in kwargs:
                pass
        func(self, **kwargs)
        if outermost:
            self._tm_in_init = False
            self._tm_find_references()

    init._tm_wrapped = True
    return init


class OperatorMeta(type):
    def __new__(mcs, name, bases, namespace, **kw):
        cls = super().__new__(mcs, name, bases, namespace, **kw)
        init = namespace.get("__init__")
        if init is not None and not getattr(init, "_tm_wrapped", False):
            cls.__init__ = _with_defaults(getattr(init, "_tm_plain", init))
        return cls


def apply_defaults(func):
    """Airflow 1.10's decorator; the metaclass does it."""
    return func


class Operator(DAGNode):
    """What ordinary and mapped operators have in common."""
    is_setup = is_teardown = on_failure_fail_dagrun = False
    is_mapped = False
    supports_lineage = False

    @property
    def node_id(self):
        return self.task_id

    @property
    def roots(self):
        return [self]

    @property
    def leaves(self):
        return [self]

    @property
    def downstream_task_ids(self):
        return self._downstream

    @property
    def upstream_task_ids(self):
        return self._upstream

    def update_relative(self, other, upstream=True, edge_modifier=None):
        pass

    @property
    def output(self):
        return PlainXComArg(self)

    def as_setup(self):
        self.is_setup = True
        return self

    def as_teardown(self, *, setups=NOTSET, on_failure_fail_dagrun=NOTSET):
        self.is_teardown = True
        self.trigger_rule = TriggerRule.ALL_DONE_SETUP_SUCCESS
        if on_failure_fail_dagrun is not NOTSET:
            self.on_failure_fail_dagrun = on_failure_fail_dagrun
        if setups is not NOTSET and setups is not None:
            for s in _list(setups):
                op = s.operator if isinstance(s, XComArg) else s
                op.is_setup = True
                op.set_downstream(self)
        return self

    def __enter__(self):
        if not self.is_setup and not self.is_teardown:
            raise AirflowException("Only setup/teardown tasks can be used as context managers.")
        SetupTeardownContext.enter([self])
        return SetupTeardownContext

    def __exit__(self, *_):
        SetupTeardownContext.leave()

    def get_flat_relative_ids(self, upstream=False):
        out, todo = set(), [self]
        while todo:
            for i in todo.pop().get_direct_relative_ids(upstream):
                if i not in out:
                    out.add(i)
                    todo.append(self.dag.get_task(i))
        return out

    def get_flat_relatives(self, upstream=False):
        return [self.dag.get_task(i) for i in self.get_flat_relative_ids(upstream)]

    @property
    def priority_weight_total(self):
        rule = self.weight_rule
        if hasattr(rule, "get_weight"):
            return self.priority_weight
        if rule == "absolute":
            return self.priority_weight
        return self.priority_weight + sum(self.dag.get_task(i).priority_weight for i in self.get_flat_relative_ids(rule == "upstream")) if self.dag else self.priority_weight

    def iter_mapped_task_groups(self):
        group = self.task_group
        while group is not None:
            if isinstance(group, MappedTaskGroup):
                yield group
            group = group.parent_group

    def get_closest_mapped_task_group(self):
        return next(self.iter_mapped_task_groups(), None)

    def get_needs_expansion(self):
        return self.is_mapped or self.get_closest_mapped_task_group() is not None

    def _place(self, dag, group):
        """Puts a new operator into its DAG and group."""
        if group is None:
            group = TaskGroupContext.get_current_task_group(dag)
        if group is not None:
            self.task_id = group.child_id(self.task_id)
        if dag is not None:
            dag.add_task(self, group)
        else:
            self.task_group = None


ARGUMENTS_OF_OLD = {"provide_context", "task_concurrency", "xcom_push", "resources"}


class BaseOperator(Operator, metaclass=OperatorMeta):
    template_fields = ()
    template_ext = ()
    template_fields_renderers = {}
    ui_color, ui_fgcolor = "#fff", "#000"
    pool = "default_pool"
    operator_extra_links = ()
    shallow_copy_attrs = ()
    mapped_arguments_validated_by_init = False
    deps = frozenset()
    inherits_from_empty_operator = False
    inherits_from_skipmixin = False
    subdag = None
    start_trigger_args, start_from_trigger = None, False

    def __init__(self, task_id, owner="airflow", email=None, email_on_retry=True, email_on_failure=True, retries=0, retry_delay=DEFAULT_RETRY_DELAY,
                 retry_exponential_backoff=False, max_retry_delay=None, start_date=None, end_date=None, depends_on_past=False, ignore_first_depends_on_past=True,
                 wait_for_past_depends_before_skipping=False, wait_for_downstream=False, dag=None, params=None, default_args=None, priority_weight=1, weight_rule="downstream",
                 queue="default", pool=None, pool_slots=1, sla=None, execution_timeout=None, on_execute_callback=None, on_failure_callback=None, on_success_callback=None,
                 on_retry_callback=None, on_skipped_callback=None, pre_execute=None, post_execute=None, trigger_rule="all_success", resources=None, run_as_user=None,
                 task_concurrency=None, map_index_template=None, max_active_tis_per_dag=None, max_active_tis_per_dagrun=None, executor=None, executor_config=None, do_xcom_push=True,
                 multiple_outputs=False, inlets=None, outlets=None, task_group=None, doc=None, doc_md=None, doc_json=None, doc_yaml=None, doc_rst=None, task_display_name=None,
                 logger_name=None, allow_nested_operators=True, render_template_as_native_obj=None, retry_policy=None, is_setup=False, is_teardown=False, wait_for=None, **kwargs):
        for name in list(kwargs):
            if name.startswith("_tm_") or name in ARGUMENTS_OF_OLD:
                kwargs.pop(name)
        if kwargs:
            settings.warn(f"Invalid arguments were passed to {type(self).__name__} (task_id: {task_id}): {', '.join(sorted(kwargs))}; ignored",
                          "a typing error, or an argument of another version of the operator")
        validate_key(task_id)
        self.task_id, self.owner, self.email = task_id, owner, email
        self.email_on_retry, self.email_on_failure = email_on_retry, email_on_failure
        self.retries = int(retries or 0)
        self.retry_delay = retry_delay if isinstance(retry_delay, dt.timedelta) else dt.timedelta(seconds=retry_delay)
        self.retry_exponential_backoff = retry_exponential_backoff
        self.max_retry_delay = max_retry_delay if max_retry_delay is None or isinstance(max_retry_delay, dt.timedelta) else dt.timedelta(seconds=max_retry_delay)
        zone = dag.timezone if dag is not None else None
        self.start_date = clock.convert_to_utc(clock.coerce_datetime(_date(start_date), zone))
        self.end_date = clock.convert_to_utc(clock.coerce_datetime(_date(end_date), zone))
        self.depends_on_past, self.wait_for_downstream = depends_on_past or wait_for_downstream, wait_for_downstream
        self.ignore_first_depends_on_past = ignore_first_depends_on_past
        self.wait_for_past_depends_before_skipping = wait_for_past_depends_before_skipping
        self.priority_weight, self.weight_rule, self.queue = priority_weight, weight_rule, queue
        self.pool, self.pool_slots = pool or "default_pool", pool_slots
        if pool_slots < 1:
            raise ValueError(f"pool slots for {task_id} cannot be less than 1")
        self.sla = sla
        if execution_timeout is not None and not isinstance(execution_timeout, dt.timedelta):
            raise ValueError(f"execution_timeout must be timedelta object but passed as type: {type(execution_timeout)}")
        self.execution_timeout = execution_timeout
        self.on_execute_callback, self.on_failure_callback, self.on_success_callback = on_execute_callback, on_failure_callback, on_success_callback
        self.on_retry_callback, self.on_skipped_callback = on_retry_callback, on_skipped_callback
        self._pre_execute_hook, self._post_execute_hook = pre_execute, post_execute
        self.trigger_rule = TriggerRule.members.get(str.__str__(trigger_rule), None) if isinstance(trigger_rule, str) else None
        if self.trigger_rule is None:
            raise AirflowException(f"The trigger_rule must be one of {sorted(TriggerRule.all_triggers())}, '{dag.dag_id if dag is not None else ''}.{task_id}'; received '{trigger_rule}'.")
        self.run_as_user, self.executor, self.executor_config = run_as_user, executor, executor_config or {}
        self.max_active_tis_per_dag, self.max_active_tis_per_dagrun = max_active_tis_per_dag if max_active_tis_per_dag is not None else task_concurrency, max_active_tis_per_dagrun
        self.map_index_template = map_index_template
        self.do_xcom_push, self.multiple_outputs = do_xcom_push, multiple_outputs
        self.inlets = _list(inlets) if inlets is not None else []
        self.outlets = _list(outlets) if outlets is not None else []
        self.doc, self.doc_md, self.doc_json, self.doc_yaml, self.doc_rst = doc, doc_md, doc_json, doc_yaml, doc_rst
        self.task_display_name_given = task_display_name
        self.retry_policy = retry_policy
        self.is_setup, self.is_teardown = is_setup, is_teardown
        self.params = _params(params)
        self._upstream, self._downstream = set(), set()
        dag, group, _ = _default_args({"dag": dag, "task_group": task_group})
        self._place(dag, group)
        if dag is not None and dag.params and not isinstance(self.params, dict):
            pass
        SetupTeardownContext.note(self)

    def _tm_find_references(self):
        """Upstream edges from outputs of other tasks given as arguments."""
        for field in self.template_fields:
            if hasattr(self, field):
                XComArg.apply_upstream_relationship(self, getattr(self, field))

    @property
    def task_type(self):
        return type(self).__name__

    @property
    def operator_name(self):
        return getattr(self, "custom_operator_name", None) or self.task_type

    @property
    def operator_class(self):
        return type(self)

    @property
    def task_display_name(self):
        return self.task_display_name_given or self.task_id

    @property
    def log(self):
        return logging.getLogger("airflow.task.operators")

    def __repr__(self):
        return f"<Task({self.task_type}): {self.task_id}>"

    def __eq__(self, other):
        return self is other or (type(self) is type(other) and self.task_id == other.task_id and self.dag is other.dag)

    def __hash__(self):
        return hash((type(self).__name__, self.__dict__.get("task_id")))

    def __deepcopy__(self, memo):
        new = copy.copy(self)
        memo[id(self)] = new
        return new

    def get_dag(self):
        return self.dag

    def pre_execute(self, context):
        if self._pre_execute_hook is not None:
            self._pre_execute_hook(context)

    def execute(self, context):
        raise NotImplementedError()

    def post_execute(self, context, result=None):
        if self._post_execute_hook is not None:
            self._post_execute_hook(context, result)

    def on_kill(self):
        pass

    def dry_run(self):
        pass

    def prepare_for_execution(self):
        return self

    def render_template_fields(self, context, jinja_env=None):
        from tidemill.flow import templating
        templating.render_fields(self, context, jinja_env)

    def render_template(self, content, context, jinja_env=None, seen_oids=None):
        from tidemill.flow import templating
        return templating.render(content, context, jinja_env or templating.environment(self.dag, self), self)

    def get_template_env(self, dag=None):
        from tidemill.flow import templating
        return templating.environment(dag or self.dag, self)

    def resolve_template_files(self):
        pass

    def prepare_template(self):
        pass

    def defer(self, *, trigger, method_name, kwargs=None, timeout=None):
        from tidemill.flow.errors import TaskDeferred
        raise TaskDeferred(trigger=trigger, method_name=method_name, kwargs=kwargs, timeout=timeout)

    def resume_execution(self, next_method, next_kwargs, context):
        return getattr(self, next_method)(context, **(next_kwargs or {}))

    def run(self, *_, **__):
        raise AirflowException("tasks are run by the scheduler: trigger the DAG")

    @staticmethod
    def xcom_push(context, key, value, execution_date=None):
        context["ti"].xcom_push(key=key, value=value)

    @staticmethod
    def xcom_pull(context, task_ids=None, dag_id=None, key="return_value", include_prior_dates=False, **_):
        return context["ti"].xcom_pull(task_ids=task_ids, dag_id=dag_id, key=key, include_prior_dates=include_prior_dates)

    @classmethod
    def partial(cls, **kwargs):
        return OperatorPartial(cls, kwargs)

    def add_inlets(self, inlets):
        self.inlets += list(inlets)

    def add_outlets(self, outlets):
        self.outlets += list(outlets)


# `from airflow.models.baseoperator import BaseOperatorMeta`
BaseOperatorMeta = OperatorMeta


def _date(value):
    """Dates may come as text."""
    return clock.parse(value) if isinstance(value, str) else value or None


def _params(given):
    from tidemill.flow.stores import ParamsDict
    return given if isinstance(given, ParamsDict) else ParamsDict(given or {})


class OperatorPartial:
    """`Op.partial(…)`, waiting for expand."""

    def __init__(self, operator_class, kwargs):
        self.operator_class, self.kwargs = operator_class, kwargs

    def expand(self, **mapped):
        if not mapped:
            raise TypeError("no arguments to expand against")
        for k, v in mapped.items():
            if not isinstance(v, (list, tuple, dict, XComArg)) and not hasattr(v, "references"):
                raise ValueError(f"expand() got an unexpected type {type(v).__name__!r} for keyword argument {k!r}")
        return MappedOperator(self.operator_class, self.kwargs, ExpandInput(mapped))

    def expand_kwargs(self, kwargs, *, strict=True):
        return MappedOperator(self.operator_class, self.kwargs, ExpandKwargs(kwargs))


class MappedOperator(Operator):
    is_mapped = True
    params = {}

    def __init__(self, operator_class, kwargs, expand_input, op_kwargs_expand=None):
        self.operator_class, self.partial_kwargs, self.expand_input, self.op_kwargs_expand = operator_class, dict(kwargs), expand_input, op_kwargs_expand
        dag, group, defaults = _default_args(kwargs)
        values = {}
        for cls in operator_class.__mro__:
            init = cls.__dict__.get("__init__")
            if init is None or not isinstance(cls, OperatorMeta):
                continue
            for name in _parameters(inspect.unwrap(init))[0]:
                if name in defaults:
                    values.setdefault(name, defaults[name])
        values.update({k: v for k, v in kwargs.items() if k not in ("dag", "task_group", "default_args")})
        self.partial_kwargs = {k: v for k, v in values.items()}
        # One throw-away operator answers for the attributes that all instances share.
        self._sample = _Sample(operator_class, values)
        self.task_id = values["task_id"]
        self._upstream, self._downstream = set(), set()
        self.start_date, self.end_date = self._sample.start_date, self._sample.end_date
        self.trigger_rule = self._sample.trigger_rule
        self.is_setup = self.is_teardown = False
        self._place(dag, group)
        SetupTeardownContext.note(self)
        for op in expand_input.references():
            op.set_downstream(self)
        for k, v in self.partial_kwargs.items():
            if k in operator_class.template_fields:
                XComArg.apply_upstream_relationship(self, v)

    def __getattr__(self, name):
        if name.startswith("__") or name == "_sample":
            raise AttributeError(name)
        return getattr(self._sample, name)

    def __repr__(self):
        return f"<Mapped({self.task_type}): {self.task_id}>"

    @property
    def task_type(self):
        return self.operator_class.__name__

    def unmap(self, resolved, dag):
        """The operator of one row: an object of the real class that knows its place but adds no edges."""
        kwargs = {**self.partial_kwargs, **resolved}
        for key in ("op_kwargs", "params"):
            if isinstance(self.partial_kwargs.get(key), dict) and isinstance(resolved.get(key), dict):
                kwargs[key] = {**self.partial_kwargs[key], **resolved[key]}
        kwargs["task_id"] = self.partial_kwargs["task_id"]
        dag_stack.push(None)
        try:
            kwargs.pop("dag", None)
            kwargs.pop("task_group", None)
            op = self.operator_class(**kwargs)
        finally:
            dag_stack.pop()
        op.task_id, op.task_group = self.task_id, self.task_group
        op._upstream, op._downstream = self._upstream, self._downstream
        op.__dict__["dag"] = dag
        return op


class _Sample:
    """Attributes of an operator class with some of its arguments, without its __init__ (the mapped ones are not known)."""

    def __init__(self, cls, values):
        self._cls, self._values = cls, values
        self.start_date = clock.coerce_datetime(values.get("start_date"))
        self.end_date = clock.coerce_datetime(values.get("end_date"))
        rule = values.get("trigger_rule", "all_success")
        self.trigger_rule = TriggerRule.members[str.__str__(rule)]
        self.retries = int(values.get("retries") or 0)
        delay = values.get("retry_delay", DEFAULT_RETRY_DELAY)
        self.retry_delay = delay if isinstance(delay, dt.timedelta) else dt.timedelta(seconds=delay)
        self.inlets, self.outlets = _list(values.get("inlets") or []), _list(values.get("outlets") or [])
        self.pool = values.get("pool") or "default_pool"
        self.depends_on_past = values.get("depends_on_past", False) or values.get("wait_for_downstream", False)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        if name in self._values:
            return self._values[name]
        if hasattr(self._cls, name):
            return getattr(self._cls, name)
        parameter = inspect.signature(inspect.unwrap(BaseOperator.__init__)).parameters.get(name)
        if parameter is not None:
            return parameter.default
        raise AttributeError(f"{self._cls.__name__} object has no attribute {name!r}")


# ---- helpers ----
def chain(*tasks):
    """a, [b, c], [d, e], f: lists of one length are joined pairwise, else everything with everything."""
    for up, down in zip(tasks, tasks[1:]):
        if isinstance(up, DependencyMixin) or isinstance(up, EdgeModifier):
            up.set_downstream(down)
            continue
        if isinstance(down, DependencyMixin) or isinstance(down, EdgeModifier):
            down.set_upstream(up)
            continue
        if not isinstance(up, (list, tuple)) or not isinstance(down, (list, tuple)):
            raise TypeError(f"Chain not supported between instances of {type(up)} and {type(down)}")
        if len(up) != len(down):
            raise AirflowException(f"Chain not supported for different length Iterable. Got {len(up)} and {len(down)}.")
        for u, d in zip(up, down):
            u.set_downstream(d)


def cross_downstream(from_tasks, to_tasks):
    for t in from_tasks:
        t.set_downstream(to_tasks)


def chain_linear(*elements):
    if not elements:
        raise ValueError("No tasks provided; nothing to do.")
    before = None
    for e in elements:
        now = _list(e)
        if before is not None:
            for b in before:
                b.set_downstream(now)
        before = now
    if len(elements) < 2:
        raise ValueError("No dependencies were set. Did you forget to expand with `*`?")


current_context = contextvars.ContextVar("current_context", default=None)


def get_current_context():
    context = current_context.get()
    if context is None:
        raise RuntimeError("Current context was requested but no context was found! Are you running within an Airflow task?") if settings.version >= 3 else AirflowException(
            "Current context was requested but no context was found! Are you running within an airflow task?")
    return context
