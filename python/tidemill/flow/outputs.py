"""Outputs of tasks that are not there yet: as arguments of other tasks, and what tasks are mapped over."""
from tidemill.flow.edges import DependencyMixin, SetupTeardownContext
from tidemill.flow.errors import AirflowException
from tidemill.flow.names import NOTSET


def _of_operator(name):
    """A property that is read from and written to the operator."""
    return property(lambda self: getattr(self.operator, name), lambda self, v: setattr(self.operator, name, v))


class XComArg(DependencyMixin):
    def __new__(cls, *args, **kwargs):
        return super().__new__(PlainXComArg if cls is XComArg else cls)

    @staticmethod
    def iter_references(value):
        if isinstance(value, XComArg):
            yield from value.iter_own()
        elif isinstance(value, (str, bytes, int, float)) or value is None:
            return
        elif isinstance(value, dict):
            for k, v in value.items():
                yield from XComArg.iter_references(k)
                yield from XComArg.iter_references(v)
        elif isinstance(value, (list, tuple, set, frozenset)):
            for v in value:
                yield from XComArg.iter_references(v)
        elif hasattr(value, "template_fields") and not isinstance(value, type) and not hasattr(value, "downstream_task_ids"):
            for f in value.template_fields:
                yield from XComArg.iter_references(getattr(value, f, None))

    @staticmethod
    def apply_upstream_relationship(op, value):
        for other, _ in XComArg.iter_references(value):
            op.set_upstream(other)

    def iter_own(self):
        for op in self.operators():
            yield op, "return_value"

    @property
    def roots(self):
        return [op for op in self.operators()]

    @property
    def leaves(self):
        return [op for op in self.operators()]

    def set_upstream(self, other, edge_modifier=None):
        for op in self.operators():
            op.set_upstream(other, edge_modifier)

    def set_downstream(self, other, edge_modifier=None):
        for op in self.operators():
            op.set_downstream(other, edge_modifier)

    def update_relative(self, other, upstream=True, edge_modifier=None):
        pass

    def as_setup(self):
        for op in self.operators():
            op.as_setup()
        return self

    def as_teardown(self, **kw):
        for op in self.operators():
            op.as_teardown(**kw)
        return self

    def map(self, f):
        return MapXComArg(self, [f])

    def zip(self, *others, fillvalue=NOTSET):
        return ZipXComArg([self, *others], fillvalue)

    def concat(self, *others):
        return ConcatXComArg([self, *others])

    def __enter__(self):
        for op in self.operators():
            if not op.is_setup and not op.is_teardown:
                raise AirflowException("Only setup/teardown tasks can be used as context managers.")
        SetupTeardownContext.enter(list(self.operators()))
        return SetupTeardownContext

    def __exit__(self, *_):
        SetupTeardownContext.leave()


class PlainXComArg(XComArg):
    def __init__(self, operator, key="return_value"):
        self.operator, self.key = operator, key

    def operators(self):
        yield self.operator

    def __eq__(self, other):
        return isinstance(other, PlainXComArg) and self.operator == other.operator and self.key == other.key

    def __hash__(self):
        return hash((self.operator, self.key))

    def __getitem__(self, item):
        if not isinstance(item, str):
            raise ValueError(f"XComArg only supports str lookup, received {type(item).__name__}")
        return PlainXComArg(self.operator, item)

    def __iter__(self):
        raise TypeError("'XComArg' object is not iterable")

    is_setup = _of_operator("is_setup")
    is_teardown = _of_operator("is_teardown")
    on_failure_fail_dagrun = _of_operator("on_failure_fail_dagrun")

    @property
    def task_id(self):
        return self.operator.task_id

    def __str__(self):
        parts = [f"task_ids='{self.operator.task_id}'", f"dag_id='{self.operator.dag_id}'"]
        if self.key != "return_value":
            parts.append(f"key='{self.key}'")
        else:
            parts.append("key='return_value'")
        return "{{ task_instance.xcom_pull(" + ", ".join(parts) + ") }}"

    def __repr__(self):
        return f"XComArg({self.operator!r}{'' if self.key == 'return_value' else f', {self.key!r}'})"

    def length(self):
        return {"xcom": self.operator.task_id, "key": self.key}

    def resolve(self, context, session=None, include_xcom=True):
        from tidemill.flow import mapping
        return mapping.pull(self.operator, self.key, context)


class MapXComArg(XComArg):
    def __init__(self, arg, functions):
        self.arg, self.functions = arg, functions
        for f in functions:
            if hasattr(f, "function") and hasattr(f, "expand"):
                raise ValueError("map() argument must be a plain function, not a @task operator")

    def operators(self):
        return self.arg.operators()

    def map(self, f):
        return MapXComArg(self.arg, [*self.functions, f])

    def length(self):
        return self.arg.length()

    def resolve(self, context, **_):
        out = []
        for v in _iterate(self.arg.resolve(context)):
            for f in self.functions:
                v = f(v)
            out.append(v)
        return out


class ZipXComArg(XComArg):
    def __init__(self, args, fillvalue=NOTSET):
        self.args, self.fillvalue = args, fillvalue

    def operators(self):
        for a in self.args:
            yield from a.operators()

    def length(self):
        return {"zip" if self.fillvalue is NOTSET else "zip_longest": [a.length() for a in self.args]}

    def resolve(self, context, **_):
        import itertools
        values = [list(_iterate(a.resolve(context))) for a in self.args]
        return list(zip(*values)) if self.fillvalue is NOTSET else list(itertools.zip_longest(*values, fillvalue=self.fillvalue))


class ConcatXComArg(XComArg):
    def __init__(self, args):
        self.args = args

    def operators(self):
        for a in self.args:
            yield from a.operators()

    def concat(self, *others):
        return ConcatXComArg([*self.args, *others])

    def length(self):
        return {"concat": [a.length() for a in self.args]}

    def resolve(self, context, **_):
        return [v for a in self.args for v in _iterate(a.resolve(context))]


def _iterate(value):
    return value.items() if isinstance(value, dict) else value




# ---- what a task is mapped over ----
class ExpandInput:
    """Arguments of expand: every combination of the values."""

    def __init__(self, value):
        self.value = value

    def references(self):
        for v in self.value.values():
            if isinstance(v, XComArg):
                yield from v.operators()
            elif isinstance(v, (list, tuple, dict)):
                yield from (op for op, _ in XComArg.iter_references(v))

    def length(self):
        return {"product": [_length(v) for v in self.value.values()], "depends": sorted({op.task_id for op in self.references() if op.task_id})}

    def resolve(self, context, index):
        from tidemill.flow import mapping
        return mapping.combination(self.value, context, index)


class ExpandKwargs(ExpandInput):
    def references(self):
        if isinstance(self.value, XComArg):
            yield from self.value.operators()
        else:
            for v in self.value:
                yield from (op for op, _ in XComArg.iter_references(v))

    def length(self):
        return {**_length(self.value), "depends": sorted({op.task_id for op in self.references()})}

    def resolve(self, context, index):
        from tidemill.flow import mapping
        return mapping.row(self.value, context, index)


def _length(v):
    if isinstance(v, XComArg):
        return v.length()
    if hasattr(v, "resolve") and not isinstance(v, (list, tuple, dict)):
        return {"length": 0}
    return {"length": len(v)}
