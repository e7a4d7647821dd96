"""Jinja templates in fields of operators."""
import datetime as dt
import os

from tidemill.flow import clock, settings

_environments = {}


def _ds(v):
    return v.strftime("%Y-%m-%d") if v is not None else None


def _ds_nodash(v):
    return v.strftime("%Y%m%d") if v is not None else None


def _ts(v):
    return v.isoformat() if v is not None else None


def _ts_nodash(v):
    return v.strftime("%Y%m%dT%H%M%S") if v is not None else None


def _ts_nodash_with_tz(v):
    return v.isoformat().replace("-", "").replace(":", "") if v is not None else None


FILTERS = {"ds": _ds, "ds_nodash": _ds_nodash, "ts": _ts, "ts_nodash": _ts_nodash, "ts_nodash_with_tz": _ts_nodash_with_tz}


def environment(dag, task=None):
    """The Jinja environment of a DAG; the module itself is imported when the first template needs it."""
    try:
        import jinja2
        import jinja2.nativetypes
        import jinja2.sandbox
    except ModuleNotFoundError:
        import sys
        from tidemill.flow.errors import AirflowException
        raise AirflowException(f"templates need jinja2, which is not installed for {sys.executable}: {sys.executable} -m pip install jinja2 (Debian: apt install python3-jinja2)") from None
    native = getattr(task, "render_template_as_native_obj", None)
    if native is None:
        native = dag.render_template_as_native_obj if dag is not None else False
    key = (id(dag), bool(native))
    if key in _environments:
        return _environments[key]

    class Sandboxed(jinja2.sandbox.SandboxedEnvironment):
        def is_safe_attribute(self, obj, attr, value):
            return not jinja2.sandbox.is_internal_attribute(obj, attr)

    class Native(jinja2.nativetypes.NativeEnvironment):
        pass

    paths = ([os.path.dirname(dag.fileloc)] + list(dag.template_searchpath or [])) if dag is not None else ["."]
    options = {"loader": jinja2.FileSystemLoader(paths), "undefined": (dag.template_undefined if dag is not None else None) or jinja2.StrictUndefined,
               "extensions": ["jinja2.ext.do"], "cache_size": 0}
    options.update((dag.jinja_environment_kwargs or {}) if dag is not None else {})
    env = (Native if native else Sandboxed)(**options)
    env.filters.update(FILTERS)
    if dag is not None:
        env.globals.update(dag.user_defined_macros or {})
        env.filters.update(dag.user_defined_filters or {})
    _environments[key] = env
    return env


def _file_template(content, task):
    exts = getattr(task, "template_ext", ()) if task is not None else ()
    exts = [exts] if isinstance(exts, str) else exts
    return any(content.endswith(e) for e in exts)


class literal:
    """A value that is not rendered."""

    def __init__(self, value):
        self.value = value

    def resolve(self, context, **_):
        return self.value

    def iter_references(self):
        return iter(())


def render(content, context, env, task=None, seen=None):
    if isinstance(content, str):
        if _file_template(content, task):
            template = env.get_template(content)
        elif "{" not in content and "\n" not in content:
            return content
        else:
            template = env.from_string(str.__str__(content))
        if hasattr(env, "concat") and type(env).__name__ == "Native":
            return template.render(context)
        return template.render(context)
    if hasattr(content, "resolve") and hasattr(content, "iter_references") or (hasattr(content, "resolve") and hasattr(content, "operators")) or (
            hasattr(content, "resolve") and isinstance(content, literal)):
        return content.resolve(context)
    if type(content) in (list, tuple, set):
        return type(content)(render(v, context, env, task, seen) for v in content)
    if isinstance(content, tuple):
        return type(content)(*(render(v, context, env, task, seen) for v in content)) if hasattr(content, "_fields") else tuple(render(v, context, env, task, seen) for v in content)
    if isinstance(content, list):
        return [render(v, context, env, task, seen) for v in content]
    if isinstance(content, dict) and type(content).__name__ != "ParamsDict":
        return {k: render(v, context, env, task, seen) for k, v in content.items()}
    fields = getattr(content, "template_fields", None)
    if fields and not isinstance(content, type):
        seen = seen or set()
        if id(content) not in seen:
            seen.add(id(content))
            for name in fields:
                if hasattr(content, name):
                    setattr(content, name, render(getattr(content, name), context, env, None, seen))
    return content


def _needs(value):
    """Whether rendering could change it: without templates jinja2 is not even imported."""
    if isinstance(value, str):
        return "{" in value
    if isinstance(value, (list, tuple, set)):
        return any(_needs(v) for v in value)
    if isinstance(value, dict):
        return any(_needs(v) for v in value.values())
    return value is not None and not isinstance(value, (int, float, bool, dt.date, dt.timedelta)) and not callable(value)


class _NoEnvironment:
    """Stands for the Jinja environment where only outputs of tasks are replaced."""

    def from_string(self, text):
        raise AssertionError(text)


def _only_references(value):
    if isinstance(value, str):
        return "{" not in value
    if isinstance(value, (list, tuple, set)):
        return all(_only_references(v) for v in value)
    if isinstance(value, dict):
        return all(_only_references(v) for v in value.values())
    return not getattr(value, "template_fields", None)


def render_fields(task, context, env=None):
    for name in task.template_fields:
        if not hasattr(task, name):
            raise AttributeError(f"{name!r} is configured as a template field but {task.task_type} does not have this attribute.")
        value = getattr(task, name)
        if value is None or (not _needs(value) and not (isinstance(value, str) and _file_template(value, task))):
            continue
        if env is None and _only_references(value) and not (isinstance(value, str) and _file_template(value, task)):
            setattr(task, name, render(value, context, _NoEnvironment(), None))
            continue
        try:
            setattr(task, name, render(value, context, env or environment(task.dag, task), task))
        except Exception as e:
            task.log.error("Exception rendering Jinja template for task '%s', field %r: %s", task.task_id, name, e)
            raise


# ---- macros ----
class Macros:
    """`macros` in templates and `airflow.macros`."""

    def __init__(self, modules):
        self.__dict__.update(modules)

    def __getattr__(self, name):
        owner = "airflow.sdk.execution_time.context.MacrosAccessor object" if settings.version >= 3 else "module object"
        raise AttributeError(f"'{owner}' has no attribute '{name}'")

    __jinja_owner__ = None


def ds_add(ds, days):
    if not days:
        return str(ds)
    return (dt.datetime.strptime(str(ds), "%Y-%m-%d") + dt.timedelta(days=days)).strftime("%Y-%m-%d")


def ds_format(ds, input_format, output_format):
    return dt.datetime.strptime(str(ds), input_format).strftime(output_format)


def ds_format_locale(ds, input_format, output_format, locale=None):
    from babel.dates import format_datetime
    return format_datetime(dt.datetime.strptime(str(ds), input_format), format=output_format, locale=locale or "en_US")


def datetime_diff_for_humans(value, since=None):
    return clock.coerce_datetime(value).diff_for_humans(clock.coerce_datetime(since) if since else None)


def macros():
    import json
    import random
    import time
    import uuid
    modules = {"json": json, "time": time, "uuid": uuid, "random": random.random if settings.version < 3 else random, "datetime": dt.datetime, "timedelta": dt.timedelta,
               "ds_add": ds_add, "ds_format": ds_format, "ds_format_locale": ds_format_locale, "datetime_diff_for_humans": datetime_diff_for_humans}

    class Lazy(Macros):
        @property
        def dateutil(self):
            import dateutil
            import dateutil.parser
            return dateutil

    Lazy.__name__ = "MacrosAccessor" if settings.version >= 3 else "module"
    return Lazy(modules)
