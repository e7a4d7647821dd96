"""Dynamic mapping when a task runs: the values of its row, and outputs of other tasks."""
import collections.abc

from tidemill.flow import settings, xcom
from tidemill.flow.errors import XComNotFound
from tidemill.flow.nodes import XComArg


class LazyXComSequence(collections.abc.Sequence):
    """The outputs of all rows of a mapped task."""

    def __init__(self, values):
        self._values = values

    def __len__(self):
        return len(self._values)

    def __getitem__(self, item):
        return self._values[item]

    def __iter__(self):
        return iter(self._values)

    def __eq__(self, other):
        return list(self) == list(other) if isinstance(other, collections.abc.Sequence) else NotImplemented

    def __repr__(self):
        return f"LazySelectSequence([{len(self)} {'item' if len(self) == 1 else 'items'}])" if settings.version < 3 else repr(list(self._values))


def pull(operator, key, context):
    ti = context["ti"]
    rows = settings.question("xcom_pull", task_ids=operator.task_id, key=key) or []
    group = operator.get_closest_mapped_task_group()
    mine = context["task"].get_closest_mapped_task_group() if context.get("task") is not None else None
    if group is not None and group is mine and not operator.is_mapped:
        rows = [r for r in rows if r["map_index"] == ti.map_index]
        return xcom.decode(rows[0]["value"]) if rows else None
    if operator.is_mapped or group is not None:
        return LazyXComSequence([xcom.decode(r["value"]) for r in rows])
    if not rows:
        if key == "return_value":
            return None
        raise XComNotFound(f"XComArg result from {operator.task_id} at {ti.dag_id} with key=\"{key}\" is not found!")
    return xcom.decode(rows[0]["value"])


def value_of(v, context):
    return v.resolve(context) if hasattr(v, "resolve") and not isinstance(v, (str, list, tuple, dict)) else v


def _items(v):
    return list(v.items()) if isinstance(v, dict) else list(v)


def deep(v, context):
    """Replaces outputs of tasks inside lists and dicts."""
    if isinstance(v, XComArg) or (hasattr(v, "resolve") and hasattr(v, "iter_references")):
        return v.resolve(context)
    if isinstance(v, (list, tuple)):
        return type(v)([deep(x, context) for x in v]) if not hasattr(v, "_fields") else v
    if isinstance(v, dict):
        return {k: deep(x, context) for k, x in v.items()}
    return v


def combination(values, context, index):
    """Row `index` of all combinations; the last name varies fastest."""
    lists = {k: _items(value_of(v, context)) for k, v in values.items()}
    out = {}
    for key in reversed(list(lists)):
        index, at = divmod(index, len(lists[key]))
        out[key] = deep(lists[key][at], context)
    return {k: out[k] for k in lists}


def row(value, context, index):
    return deep(_items(value_of(value, context))[index], context)
