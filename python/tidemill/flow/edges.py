"""`>>`, `<<` and labels between tasks, groups and outputs."""
from tidemill.flow.errors import AirflowException


class Arrows:
    """`this >> other` and `this << other`; where `other` has no arrows itself (a list), also from its side."""

    def __rshift__(self, other):
        self.set_downstream(other)
        return other

    def __lshift__(self, other):
        self.set_upstream(other)
        return other

    def __rrshift__(self, other):
        self.__lshift__(other)
        return self

    def __rlshift__(self, other):
        self.__rshift__(other)
        return self


class EdgeModifier(Arrows):
    def __init__(self, label=None):
        self.label = label
        self._up, self._down = [], []

    def set_upstream(self, other, edge_modifier=None):
        self._up += _list(other)
        self._join()

    def set_downstream(self, other, edge_modifier=None):
        self._down += _list(other)
        self._join()

    def _join(self):
        for u in self._up:
            for d in self._down:
                u.set_downstream(d, edge_modifier=self)

    def add_edge_info(self, dag, upstream_id, downstream_id):
        dag.edge_info.setdefault(upstream_id, {})[downstream_id] = {"label": self.label}


def Label(label):
    return EdgeModifier(label=label)


def _list(other):
    return list(other) if isinstance(other, (list, tuple, set)) else [other]


class DependencyMixin(Arrows):
    def as_setup(self):
        raise AirflowException("this cannot be a setup")

    def as_teardown(self, **_):
        raise AirflowException("this cannot be a teardown")


class SetupTeardownContext:
    """`with setup_task >> …` : what is made inside runs between the setup and its teardown."""
    stack = []

    @classmethod
    def enter(cls, tasks):
        cls.stack.append((tasks, []))

    @classmethod
    def leave(cls):
        tasks, inside = cls.stack.pop()
        teardowns = [t for t in tasks if t.is_teardown]
        setups = [t for t in tasks if t.is_setup]
        for t in teardowns:
            setups += [u for u in t.upstream_list if u.is_setup and u not in setups]
        ids = {t.task_id for t in inside}
        inside = [t for t in inside if t not in setups and t not in teardowns]
        for t in inside:
            if not (t.upstream_task_ids & ids):
                for s in setups:
                    s.set_downstream(t)
            if not (t.downstream_task_ids & ids):
                for d in teardowns:
                    t.set_downstream(d)
        if cls.stack:
            cls.stack[-1][1].extend(inside)

    @classmethod
    def note(cls, task):
        if cls.stack:
            cls.stack[-1][1].append(task)
