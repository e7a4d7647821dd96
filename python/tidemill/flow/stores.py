"""Variables, Connections, hooks, Params and XCom, as DAG files see them."""
import json
import os
import re

from tidemill.flow import settings
from tidemill.flow.errors import AirflowException, AirflowNotFoundException, AirflowRuntimeError, ParamValidationError

UNSET = object()


# ---- Variables ----
def _variable_text(key):
    """The text of a Variable: environment, then what tasks have set, then the project's configuration."""
    env = os.environ.get("AIRFLOW_VAR_" + key.upper())
    if env is not None:
        return env
    stored = settings.question("variable_get", key=key)
    if stored is not None:
        return stored
    return settings.variables.get(key)


class Placeholder(str):
    """What a missing Variable is while a file is loaded: empty text, so that the file's DAGs can still be shown."""

    def __getitem__(self, item):
        return Placeholder()

    def get(self, *_, **__):
        return Placeholder()


class Variable:
    def __init__(self, key=None, val=None, description=None, **_):
        self.key, self.val, self.description = key, val, description

    @classmethod
    def get(cls, key, default_var=UNSET, deserialize_json=False, default=UNSET, **_):
        text = _variable_text(key)
        if text is None:
            fallback = default if default is not UNSET else default_var
            if fallback is not UNSET:
                return fallback
            if settings.loading:
                settings.warn(f"Variable {key} does not exist; the file was loaded with an empty text for it",
                              f"set it under variables: in tidemill.yaml, or as AIRFLOW_VAR_{key.upper()}")
                return Placeholder()
            if settings.version >= 3:
                raise AirflowRuntimeError("VARIABLE_NOT_FOUND", {"message": f"Variable {key} not found"})
            raise KeyError(f"Variable {key} does not exist")
        return json.loads(text) if deserialize_json else text

    @classmethod
    def set(cls, key, value, description=None, serialize_json=False, **_):
        text = json.dumps(value, indent=2) if serialize_json else str(value)
        settings.question("variable_set", key=key, value=text)
        settings.variables[key] = text

    @classmethod
    def setdefault(cls, key, default, description=None, deserialize_json=False):
        value = cls.get(key, default_var=None, deserialize_json=deserialize_json)
        if value is None:
            if default is None:
                raise ValueError("Default Value must be set")
            cls.set(key, default, serialize_json=deserialize_json)
            return default
        return value

    @classmethod
    def update(cls, key, value, serialize_json=False, **_):
        cls.set(key, value, serialize_json=serialize_json)

    @classmethod
    def delete(cls, key, **_):
        settings.question("variable_delete", key=key)
        return 1 if settings.variables.pop(key, None) is not None else 0


# ---- Connections ----
class Connection:
    def __init__(self, conn_id=None, conn_type=None, description=None, host=None, login=None, password=None, schema=None, port=None, extra=None, uri=None, **_):
        self.conn_id, self.description = conn_id, description
        if extra is not None and not isinstance(extra, str):
            extra = json.dumps(extra)
        self.conn_type, self.host, self.login, self.password, self.schema, self.extra = conn_type, host, login, password, schema, extra
        self.port = int(port) if port not in (None, "") else None
        if uri:
            self._parse_uri(uri)

    @classmethod
    def of(cls, conn_id, text):
        """From a URI or a JSON object."""
        if text.lstrip().startswith("{"):
            fields = json.loads(text)
            return cls(conn_id=conn_id, **{k.replace("connection_type", "conn_type"): v for k, v in fields.items() if k != "conn_id"})
        return cls(conn_id=conn_id, uri=text)

    from_json = classmethod(lambda cls, value, conn_id=None: cls.of(conn_id, value))

    def _parse_uri(self, uri):
        from urllib.parse import parse_qsl, unquote, urlsplit
        parts = urlsplit(uri)
        self.conn_type = {"postgresql": "postgres"}.get(parts.scheme.replace("-", "_"), parts.scheme.replace("-", "_"))
        rest = uri.split(":", 1)[1]
        host = parts.hostname
        if "://" in rest.lstrip("/") and rest.count("://") > 0 and rest.startswith("//") and "://" in rest[2:]:
            inner = urlsplit(rest[2:])
            host = f"{inner.scheme}://{inner.hostname}"
            parts = inner
        self.host = unquote(host) if host else host
        quoted_schema = parts.path[1:] if parts.path.startswith("/") else parts.path
        self.schema = unquote(quoted_schema) if quoted_schema else quoted_schema
        self.login = unquote(parts.username) if parts.username else parts.username
        self.password = unquote(parts.password) if parts.password else parts.password
        try:
            self.port = parts.port
        except ValueError:
            self.port = None
        if parts.query:
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            self.extra = query["__extra__"] if "__extra__" in query else json.dumps(query)

    def get_uri(self):
        from urllib.parse import parse_qsl, quote, urlencode
        uri = f"{(self.conn_type or '').lower().replace('_', '-')}://" if self.conn_type else "//"
        host = self.host or ""
        if self.login is not None or self.password is not None:
            uri += quote(self.login or "", safe="") + (f":{quote(self.password, safe='')}" if self.password is not None else "") + "@"
        uri += quote(host, safe="") + (f":{self.port}" if self.port else "")
        uri += f"/{quote(self.schema, safe='')}" if self.schema else ""
        if self.extra:
            flat = self.extra_dejson
            query = urlencode(flat) if flat and all(isinstance(v, str) for v in flat.values()) else None
            if query is None or dict(parse_qsl(query, keep_blank_values=True)) != flat:
                query = urlencode({"__extra__": self.extra})
            uri += ("?" if self.schema else "/?") + query
        return uri

    def get_password(self):
        return self.password

    def get_extra(self):
        return self.extra

    def get_extra_dejson(self, nested=False):
        return self.extra_dejson

    @property
    def extra_dejson(self):
        try:
            return json.loads(self.extra) if self.extra else {}
        except ValueError:
            return {}

    @classmethod
    def get(cls, conn_id):
        return connection(conn_id)

    get_connection_from_secrets = get

    def get_hook(self, *, hook_params=None):
        raise AirflowException(f"there is no hook for connections of type {self.conn_type!r}")

    def __repr__(self):
        if settings.version >= 3:
            names = ("conn_id", "conn_type", "description", "host", "schema", "login", "password", "port", "extra")
            return f"Connection({', '.join(f'{n}={getattr(self, n)!r}' for n in names)})"
        return self.conn_id or ""

    def __str__(self):
        return repr(self)


def connection(conn_id):
    text = os.environ.get("AIRFLOW_CONN_" + conn_id.upper())
    if text is None:
        text = settings.connections.get(conn_id)
    if text is None:
        raise AirflowNotFoundException(f"The conn_id `{conn_id}` isn't defined")
    return Connection.of(conn_id, text)


class BaseHook:
    conn_name_attr = "conn_id"
    default_conn_name = "default_conn_id"
    conn_type, hook_name = "base", "Base"

    def __init__(self, *args, logger_name=None, **kwargs):
        for key, value in kwargs.items():
            setattr(self, key, value)

    @property
    def log(self):
        import logging
        return logging.getLogger("airflow.task.hooks")

    @classmethod
    def get_connection(cls, conn_id):
        return connection(conn_id)

    aget_connection = get_connection

    @classmethod
    def get_connections(cls, conn_id):
        return [connection(conn_id)]

    @classmethod
    def get_hook(cls, conn_id, hook_params=None):
        return connection(conn_id).get_hook(hook_params=hook_params)

    def get_conn(self):
        raise NotImplementedError()

    @classmethod
    def get_connection_form_widgets(cls):
        return {}

    @classmethod
    def get_ui_field_behaviour(cls):
        return {}


class FSHook(BaseHook):
    conn_name_attr, default_conn_name, conn_type = "fs_conn_id", "fs_default", "fs"

    def __init__(self, fs_conn_id="fs_default", **kw):
        super().__init__(**kw)
        self.fs_conn_id = fs_conn_id
        try:
            self.basepath = connection(fs_conn_id).extra_dejson.get("path", "")
        except AirflowNotFoundException:
            self.basepath = ""

    def get_path(self):
        return self.basepath


# ---- Params ----
class ArgNotSet:
    def __repr__(self):
        return "NOTSET"


NOT_SET = ArgNotSet()


class Param:
    def __init__(self, default=NOT_SET, description=None, source=None, **schema):
        self.value, self.description, self.schema = default, description, schema.pop("schema", schema) if set(schema) == {"schema"} else schema
        self.source = source
        if default is not NOT_SET:
            json.dumps(default, default=str)

    @property
    def has_value(self):
        return self.value is not NOT_SET

    def resolve(self, value=NOT_SET, suppress_exception=False):
        final = self.value if value is NOT_SET else value
        if final is NOT_SET:
            if suppress_exception:
                return None
            raise ParamValidationError("No value passed and Param has no default value")
        problem = _schema_problem(self.schema, final)
        if problem and not suppress_exception:
            raise ParamValidationError(problem)
        self.value = final
        return final

    def dump(self):
        return {"value": None if self.value is NOT_SET else self.value, "description": self.description, "schema": self.schema}


TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": (list, tuple), "object": dict, "null": type(None)}


def _schema_problem(schema, value):
    """The part of JSON schema that Params use."""
    kinds = schema.get("type")
    if kinds is not None:
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if not any(isinstance(value, TYPES.get(k, object)) and not (isinstance(value, bool) and k in ("integer", "number")) for k in kinds):
            return f"{value!r} is not of type {', '.join(map(repr, kinds))}"
    if value is None:
        return None
    if "enum" in schema and value not in schema["enum"]:
        return f"{value!r} is not one of {schema['enum']!r}"
    if "const" in schema and value != schema["const"]:
        return f"{schema['const']!r} was expected"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if "minimum" in schema and value < schema["minimum"]:
            return f"{value!r} is less than the minimum of {schema['minimum']!r}"
        if "maximum" in schema and value > schema["maximum"]:
            return f"{value!r} is greater than the maximum of {schema['maximum']!r}"
    if isinstance(value, str):
        if "minLength" in schema and len(value) < schema["minLength"]:
            return f"{value!r} is too short"
        if "maxLength" in schema and len(value) > schema["maxLength"]:
            return f"{value!r} is too long"
        if "pattern" in schema and not re.search(schema["pattern"], value):
            return f"{value!r} does not match {schema['pattern']!r}"
    if isinstance(value, (list, tuple)) and isinstance(schema.get("items"), dict):
        for item in value:
            problem = _schema_problem(schema["items"], item)
            if problem:
                return problem
    return None


class ParamsDict(dict):
    """Names to Params; reading a name gives its value."""

    def __init__(self, given=None, suppress_exception=False):
        super().__init__()
        for key, value in (given or {}).items():
            dict.__setitem__(self, key, value if isinstance(value, Param) else Param(value))

    def __setitem__(self, key, value):
        old = dict.get(self, key)
        if isinstance(value, Param):
            dict.__setitem__(self, key, value)
        elif isinstance(old, Param):
            try:
                old.resolve(value)
            except ParamValidationError as e:
                raise ParamValidationError(f"Invalid input for param {key}: {e}") from None
        else:
            dict.__setitem__(self, key, Param(value))

    def __getitem__(self, key):
        return dict.__getitem__(self, key).resolve(suppress_exception=settings.loading)

    def setdefault_raw(self, key, value):
        if key not in self:
            dict.__setitem__(self, key, value if isinstance(value, Param) else Param(value) if value is not None or True else value)

    def get(self, key, default=None):
        return self[key] if key in self else default

    def get_param(self, key):
        return dict.__getitem__(self, key)

    def items(self):
        return [(k, dict.__getitem__(self, k)) for k in self]

    def values(self):
        return [dict.__getitem__(self, k) for k in self]

    def update(self, *args, **kwargs):
        for source in (*args, kwargs):
            for key in source:
                self[key] = dict.__getitem__(source, key) if isinstance(source, ParamsDict) else source[key]

    def copy(self):
        new = ParamsDict()
        for k in self:
            p = dict.__getitem__(self, k)
            dict.__setitem__(new, k, Param(p.value, p.description, schema=dict(p.schema)) if p.schema else Param(p.value, p.description))
        return new

    def dump(self):
        return {k: dict.__getitem__(self, k).resolve(suppress_exception=True) for k in self}

    def validate(self):
        return {k: self._validated(k) for k in self}

    def _validated(self, key):
        try:
            return dict.__getitem__(self, key).resolve()
        except ParamValidationError as e:
            raise ParamValidationError(f"Invalid input for param {key}: {e}") from None


class DagParam:
    """A parameter of a @dag function: its value in the run."""
    template_fields = ()

    def __init__(self, current_dag, name, default=NOT_SET):
        self._dag, self._name, self._default = current_dag, name, default

    def iter_references(self):
        return iter(())

    def resolve(self, context, **_):
        conf = (context["dag_run"].conf or {}) if context.get("dag_run") is not None else {}
        if self._name in conf:
            return conf[self._name]
        params = context.get("params", {})
        if self._name in params:
            return params[self._name]
        if self._default is not NOT_SET:
            return self._default
        raise AirflowException(f"No value could be resolved for parameter {self._name}")

    def __repr__(self):
        return "{{ params." + self._name + " }}"


class XCom:
    """The model's class methods that some files use."""
    key = "return_value"

    @classmethod
    def get_one(cls, *, key="return_value", task_id=None, dag_id=None, run_id=None, map_index=None, **_):
        rows = settings.question("xcom_pull", key=key, task_ids=task_id, dag_id=dag_id, run_id=run_id) or []
        from tidemill.flow import xcom
        return xcom.decode(rows[0]["value"]) if rows else None

    get_value = get_one

    @classmethod
    def set(cls, key, value, **_):
        from tidemill.flow import xcom
        settings.question("xcom_push", key=key, value=xcom.encode(value))

    @staticmethod
    def serialize_value(value, **_):
        return json.dumps(value).encode()

    @staticmethod
    def deserialize_value(result):
        return json.loads(result.value if hasattr(result, "value") else result)


BaseXCom = XCom
