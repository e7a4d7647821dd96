"""The shape of the DAGs of files, in the words of Airflow's serialised form: {"folder", "version", "files"} on standard input, one
JSON object on standard output. For tests and for `GET /api/dags/…/shape`."""
import datetime as dt
import json
import os
import sys

from tidemill import loader
from tidemill.flow import clock, describe, modules, schedule, settings, stores
from tidemill.flow.nodes import TaskGroup

NO_DEFAULT = {"owner", "start_date", "end_date", "sla", "on_failure_callback", "on_success_callback", "on_retry_callback", "params", "wait_for_downstream"}


def _plain(value):
    if isinstance(value, dt.timedelta):
        return {"seconds": value.total_seconds()}
    return describe.plain(value) if not isinstance(value, (list, tuple)) else [_plain(v) for v in value]


def _asset_text(a):
    if settings.version >= 3:
        if isinstance(a, schedule.AssetAlias):
            return f"SerializedAssetAlias(name={a.name!r}, group={a.group!r})"
        if isinstance(a, schedule.AssetNameRef):
            return f"SerializedAssetNameRef(name={a.name!r})"
        if isinstance(a, schedule.AssetUriRef):
            return f"SerializedAssetUriRef(uri={a.uri!r})"
        return f"SerializedAsset(name={a.name!r}, uri={a.uri!r}, group={a.group!r}, extra={a.extra!r}, watchers=[], access_control={{}})"
    if isinstance(a, schedule.AssetAlias):
        return f"DatasetAlias(name={a.name!r})"
    return f"Dataset(uri={a.uri!r}, extra={a.extra or None!r})"


def _asset_json(a):
    if isinstance(a, schedule._Combined):
        return {"__type": ("asset_" if settings.version >= 3 else "dataset_") + a.word, "objects": [_asset_json(o) for o in a.objects]}
    if isinstance(a, schedule.AssetAlias):
        return {"__type": "asset_alias", "name": a.name, "group": a.group} if settings.version >= 3 else {"__type": "dataset_any", "objects": []}
    if settings.version < 3:
        return {"__type": "dataset", "uri": a.uri, "extra": a.extra or None}
    if isinstance(a, schedule._Ref):
        return {"__type": "asset_ref", **vars(a)}
    out = {"__type": "asset", "name": a.name, "uri": a.uri, "group": a.group, "extra": a.extra}
    if a.watchers:
        out["watchers"] = [{"name": w.name, "trigger": _trigger_json(w.trigger)} for w in a.watchers]
    if a.access_control is not None:
        out["access_control"] = {k: v for k, v in vars(a.access_control).items()}
    return out


def _trigger_json(trigger):
    try:
        path, kwargs = trigger.serialize()
        return {"classpath": path, "kwargs": kwargs}
    except Exception:
        return {}


def _serialized(timetable):
    if isinstance(timetable, schedule.AssetOrTimeSchedule):
        key = "asset_condition" if settings.version >= 3 else "dataset_condition"
        inner = timetable.timetable
        rest = inner.serialize()
        if settings.version < 3:
            rest.pop("run_immediately", None)
        return {key: _asset_json(timetable.asset_condition), "timetable": {"Encoding.TYPE": _class_path(inner), "Encoding.VAR": rest}}
    if isinstance(timetable, schedule.AssetTriggeredTimetable):
        return {"asset_condition" if settings.version >= 3 else "dataset_condition": _asset_json(timetable.asset_condition), **_partition_rest(timetable)}
    return timetable.serialize()


def _encoded(mapper):
    return {"Encoding.TYPE": f"airflow.partition_mappers.{mapper.module}.{type(mapper).__name__}", "Encoding.VAR": {k: _encoded(v) if hasattr(v, "module") else [_encoded(x) if hasattr(x, "module") else x
            for x in v] if isinstance(v, (list, tuple)) else v for k, v in mapper.fields().items()}}


def _partition_rest(timetable):
    if not hasattr(timetable, "default_partition_mapper"):
        return {}
    return {"partition_mapper_config": [[_asset_json(a), _encoded(m)] for a, m in timetable.partition_mapper_config.items()],
            "default_partition_mapper": _encoded(timetable.default_partition_mapper)}


def _class_path(timetable):
    name = type(timetable).__name__
    module = {"CronTriggerTimetable": "trigger", "DeltaTriggerTimetable": "trigger", "CronDataIntervalTimetable": "interval", "DeltaDataIntervalTimetable": "interval"}.get(name, "simple")
    return f"airflow.timetables.{module}.{name}"


def _summary(timetable):
    if settings.version < 3 and isinstance(timetable, schedule.AssetTriggeredTimetable) and any(isinstance(leaf, schedule.AssetAlias) for leaf in timetable.asset_condition.leaves()):
        return "Unresolved DatasetAlias"
    if settings.version < 3 and isinstance(timetable, schedule.AssetOrTimeSchedule):
        return f"Dataset or {schedule.summary_of(timetable.timetable)}"
    return schedule.summary_of(timetable)


def _task(t):
    out = {"task_id": t.task_id, "type": t.task_type, "mapped": t.is_mapped, "upstream": sorted(t.upstream_task_ids), "downstream": sorted(t.downstream_task_ids),
           "trigger_rule": str.__str__(t.trigger_rule), "retry_delay": {"seconds": t.retry_delay.total_seconds()}, "pool": t.pool, "pool_slots": t.pool_slots, "queue": t.queue,
           "priority_weight": t.priority_weight, "weight_rule": {"downstream": "_DownstreamPriorityWeightStrategy", "upstream": "_UpstreamPriorityWeightStrategy",
                                                                 "absolute": "_AbsolutePriorityWeightStrategy"}.get(str(t.weight_rule), str(t.weight_rule)),
           "owner": t.owner, "ui_color": t.ui_color, "ui_fgcolor": t.ui_fgcolor, "priority_weight_total": t.priority_weight_total if settings.version < 3 else None}
    cls = t.operator_class
    fields = cls.template_fields if not isinstance(cls.template_fields, property) else t.template_fields
    if fields:
        out["template_fields"] = list(fields)
    ext = t.template_ext
    if ext:
        out["template_ext"] = [ext] if isinstance(ext, str) else list(ext)
    if t.retries:
        out["retries"] = t.retries
    if getattr(t, "depends_on_past", False):
        out["depends_on_past"] = True
    if getattr(t, "doc_md", None):
        out["has_doc_md"] = True
    for name in ("is_setup", "is_teardown"):
        if getattr(t, name):
            out[name] = True
    for name in ("inlets", "outlets"):
        if getattr(t, name):
            out[name] = [_asset_text(a) for a in getattr(t, name)]
    if t.is_mapped:
        kind = "ListOfDictsExpandInput" if type(t.expand_input).__name__ == "ExpandKwargs" else "DictOfListsExpandInput"
        out["expand"] = ("Scheduler" if settings.version >= 3 else "") + kind
    if t.execution_timeout is not None:
        out["execution_timeout"] = {"seconds": t.execution_timeout.total_seconds()}
    return out


def _group(g):
    return {"group_id": g.group_id, "prefix_group_id": g.prefix_group_id, "tooltip": g.tooltip, "mapped": g.is_mapped, "upstream_task_ids": sorted(g.upstream_task_ids),
            "downstream_task_ids": sorted(g.downstream_task_ids), "upstream_group_ids": sorted(g.upstream_group_ids, key=str), "downstream_group_ids": sorted(g.downstream_group_ids, key=str),
            "children": {k: _group(c) if isinstance(c, TaskGroup) else None for k, c in sorted(g.children.items())}}


def _param(p):
    value = None if p.value is stores.NOT_SET else p.value
    return {"value": value if isinstance(value, (dict, list, str, int, float, bool, type(None))) else str(value), "schema": p.schema, "description": p.description}


def shape(dag):
    t = dag.timetable
    start = dag.start_date
    return {"dag_id": dag.dag_id, "tasks": [_task(x) for x in dag.tasks], "edges": sorted([u.task_id, d] for u in dag.tasks for d in u.downstream_task_ids), "groups": _group(dag.task_group),
            "edge_info": describe.plain(dag.edge_info), "timetable": type(t).__name__, "timetable_summary": _summary(t), "timetable_description": getattr(t, "description", ""),
            "timetable_serialized": _serialized(t), "timezone": clock.zone_name(dag.timezone), "start_date": describe.iso(start), "end_date": describe.iso(dag.end_date), "catchup": bool(dag.catchup),
            "params": {k: _param(p) for k, p in dag.params.items()}, "tags": sorted(dag.tags), "max_active_runs": dag.max_active_runs, "max_active_tasks": dag.max_active_tasks,
            "dagrun_timeout": _plain(dag.dagrun_timeout), "description": dag.description, "is_paused_upon_creation": dag.is_paused_upon_creation,
            "render_template_as_native_obj": dag.render_template_as_native_obj, "fail_fast": dag.fail_fast, "roots": sorted(r.task_id for r in dag.roots),
            "leaves": sorted(x.task_id for x in dag.leaves), "default_args": {k: _plain(v) for k, v in sorted(dag.default_args.items()) if k not in NO_DEFAULT},
            "topological": [x.task_id for x in dag.topological_sort()], "has_doc_md": bool(dag.doc_md)}


def _load(folder, file, version):
    settings.default_version = version
    loader.dialect_of = lambda source: (f"{version}.x", version)
    loaded = loader.load(os.path.join(folder, file))
    out = {"dags": {}}
    for dag_id, dag in loaded.dags.items():
        try:
            out["dags"][dag_id] = shape(dag)
        except Exception as e:
            out["error"] = f"{type(e).__name__}: {e}"
    errors = [e for e in loaded.errors if not e.get("warning")]
    if errors:
        out["error"] = f"{errors[0]['error']} (line {errors[0]['line']})"
    return out


def main():
    job = json.load(sys.stdin)
    settings.dags_dir = settings.project_dir = job["folder"]
    modules.install()
    import airflow
    airflow.__path__ = [job["folder"]]
    result = {}
    for file in job["files"]:
        read, write = os.pipe()
        if os.fork() == 0:
            os.dup2(2, 1)
            try:
                data = json.dumps(_load(job["folder"], file, job["version"]), default=str)
            except BaseException as e:
                data = json.dumps({"error": f"{type(e).__name__}: {e}"})
            with os.fdopen(write, "w") as f:
                f.write(data)
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as f:
            text = f.read()
        os.wait()
        result[file] = json.loads(text) if text else {"error": "no answer"}
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
