"""A DAG as JSON: what the engine schedules by (src/dag/README.md), and what the page shows."""
import datetime as dt
import json

from tidemill.flow import clock, ops, schedule as schedules, settings
from tidemill.flow.nodes import MappedTaskGroup, TaskGroup


def plain(value):
    """Any value as JSON, for showing."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(v) for v in value), key=str)
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return str(value)


def iso(value):
    return clock.convert_to_utc(value).isoformat() if value is not None else None


def _seconds(value):
    return value.total_seconds() if isinstance(value, dt.timedelta) else float(value)


def _has_templates(value, extensions):
    if isinstance(value, str):
        return "{{" in value or "{%" in value or "{#" in value or any(value.endswith(e) for e in extensions)
    if isinstance(value, dict):
        return any(_has_templates(v, extensions) for v in value.values())
    return value is not None and not isinstance(value, (int, float, bool))


def _kind(task):
    """Whether the engine can do without Python: empty tasks, and shell commands with nothing to render or call."""
    callbacks = any(getattr(task, n, None) for n in ("on_execute_callback", "on_success_callback", "on_failure_callback", "on_retry_callback", "on_skipped_callback", "_pre_execute_hook",
                                                     "_post_execute_hook"))
    if task.is_mapped or task.get_closest_mapped_task_group() is not None or callbacks:
        return "python", None
    if type(task).execute is ops.EmptyOperator.execute and isinstance(task, ops.EmptyOperator) and type(task).pre_execute is ops.BaseOperator.pre_execute:
        return "empty", None
    if type(task) is ops.BashOperator and isinstance(task.bash_command, str) and not task.output_processor and task.output_encoding == "utf-8" and not task.outlets:
        if any(_has_templates(v, ops.SHELL_EXTENSIONS) for v in (task.bash_command, task.env, task.cwd)):
            return "python", None
        env = {k: str(v) for k, v in task.env.items()} if task.env else None
        return "shell", {"command": task.bash_command, "env": env, "append_env": task.append_env, "cwd": task.cwd, "skip_on_exit_code": task.skip_on_exit_code,
                         "do_xcom_push": bool(task.do_xcom_push)}
    return "python", None


def _backoff(task):
    value = task.retry_exponential_backoff
    if value is True:
        return 2
    return float(value) if value and not isinstance(value, bool) else 0


def _outlets(task):
    return [o.uri for o in task.outlets if isinstance(o, schedules.Asset)]


def describe_task(task):
    kind, shell = _kind(task)
    group = task.get_closest_mapped_task_group()
    expand = task.expand_input.length() if task.is_mapped else group.expand_input.length() if group is not None else None
    out = {"task_id": task.task_id, "type": task.task_type, "operator": getattr(task, "operator_name", task.task_type), "upstream": sorted(task.upstream_task_ids),
           "trigger_rule": str.__str__(task.trigger_rule), "retries": task.retries, "retry_delay_s": _seconds(task.retry_delay), "retry_backoff": _backoff(task),
           "pool": task.pool, "pool_slots": task.pool_slots, "priority_weight": task.priority_weight, "priority_weight_total": task.priority_weight_total, "owner": task.owner, "kind": kind,
           "label": task.label, "queue": task.queue, "ui_color": task.ui_color, "ui_fgcolor": task.ui_fgcolor, "mapped": task.is_mapped}
    if task.max_retry_delay is not None:
        out["max_retry_delay_s"] = _seconds(task.max_retry_delay)
    if task.execution_timeout is not None:
        out["execution_timeout_s"] = _seconds(task.execution_timeout)
    for name in ("depends_on_past", "wait_for_downstream", "is_setup", "is_teardown", "on_failure_fail_dagrun"):
        if getattr(task, name, False):
            out[name] = True
    for name in ("max_active_tis_per_dag", "max_active_tis_per_dagrun"):
        if getattr(task, name, None):
            out[name] = getattr(task, name)
    if shell:
        out["shell"] = shell
    if expand is not None:
        out["expand"] = expand
    if group is not None:
        out["map_group"] = group.group_id
    if task.outlets:
        out["outlets"] = _outlets(task)
    for name in ("start_date", "end_date"):
        value = getattr(task, name, None)
        if value is not None and value != getattr(task.dag, name):
            out[name] = iso(value)
    if getattr(task, "doc_md", None):
        out["doc_md"] = task.doc_md
    return out


def describe_group(group):
    children = {}
    for key, child in group.children.items():
        children[key] = describe_group(child) if isinstance(child, TaskGroup) else None
    return {"group_id": group.group_id, "label": group.label, "tooltip": group.tooltip, "prefix_group_id": group.prefix_group_id, "mapped": isinstance(group, MappedTaskGroup),
            "upstream_task_ids": sorted(group.upstream_task_ids), "downstream_task_ids": sorted(group.downstream_task_ids), "upstream_group_ids": sorted(group.upstream_group_ids, key=str),
            "downstream_group_ids": sorted(group.downstream_group_ids, key=str), "children": children}


def _custom_timetable(dag):
    """A timetable of the user's own class: its coming runs, asked now, as a list of events."""
    from tidemill.flow.schedule import DataInterval, TimeRestriction
    events, last = [], None
    now = clock.utcnow()
    restriction = TimeRestriction(dag.start_date, dag.end_date, dag.catchup)
    for _ in range(200):
        info = dag.timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        if info is None:
            break
        events.append(info.run_after)
        last = DataInterval(info.data_interval.start, info.data_interval.end)
        if info.run_after > now + dt.timedelta(days=366):
            break
    return {"kind": "events", "schedule": {"dates": [iso(e) for e in events]}}


def timetable_spec(dag):
    spec = dag.timetable.spec() if hasattr(dag.timetable, "spec") else None
    if spec is None:
        spec = _custom_timetable(dag) if hasattr(dag.timetable, "next_dagrun_info") else {"kind": "null"}
    spec.setdefault("timezone", clock.zone_name(dag.timezone))
    spec["version"] = settings.version
    if "timetable" in spec:
        spec["timetable"] = {"timezone": clock.zone_name(dag.timezone), "version": settings.version, **spec["timetable"]}
    return spec


def describe_dag(dag, dialect):
    timetable = dag.timetable
    return {"dag_id": dag.dag_id, "dag_display_name": dag.dag_display_name, "description": dag.description, "fileloc": dag.fileloc, "line": dag.line, "dialect": dialect,
            "version": settings.version, "timetable": timetable_spec(dag), "timetable_class": type(timetable).__name__, "timetable_summary": schedules.summary_of(timetable),
            "timezone": clock.zone_name(dag.timezone), "start_date": iso(dag.start_date or _first_start(dag)), "end_date": iso(dag.end_date), "catchup": bool(dag.catchup),
            "max_active_runs": dag.max_active_runs, "max_active_tasks": dag.max_active_tasks, "max_consecutive_failed_dag_runs": dag.max_consecutive_failed_dag_runs,
            "dagrun_timeout_s": _seconds(dag.dagrun_timeout) if dag.dagrun_timeout else None, "is_paused_upon_creation": dag.is_paused_upon_creation, "fail_fast": dag.fail_fast,
            "tags": sorted(dag.tags), "owner": dag.owner, "doc_md": dag.doc_md, "params": {k: plain(p.dump()) for k, p in dag.params.items()},
            "on_success_callback": dag.on_success_callback is not None, "on_failure_callback": dag.on_failure_callback is not None,
            "tasks": [describe_task(t) for t in dag.topological_sort()], "groups": describe_group(dag.task_group), "edge_labels": plain(dag.edge_info)}


def _first_start(dag):
    """default_args may hold the start date: Airflow takes the earliest of the tasks."""
    given = dag.default_args.get("start_date")
    starts = [t.start_date for t in dag.tasks if t.start_date is not None]
    return min(starts) if starts else given


def checked(definition):
    """As JSON text and back: what cannot be said in JSON is an error of this DAG only."""
    return json.loads(json.dumps(definition, default=str))
