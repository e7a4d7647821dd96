"""`import airflow…`: a finder that makes every module of the look-alike from a table. A path that no table knows (a provider
that is not brought) gives a module whose names are operators that fail only when they run."""
import importlib.machinery
import sys
import types

from tidemill.flow import clock, dag as dags, errors, nodes, ops, runtime, schedule, sensors, partitions, settings, stores, taskflow, templating

EXPORTS = {}


class Configuration:
    """airflow.configuration.conf: Airflow's defaults that files ask for; the environment AIRFLOW__SECTION__KEY first."""
    DEFAULTS = {("core", "parallelism"): "32", ("core", "executor"): "LocalExecutor", ("core", "default_timezone"): "utc", ("core", "load_examples"): "False",
                ("core", "max_active_tasks_per_dag"): "16", ("core", "dag_concurrency"): "16", ("core", "max_active_runs_per_dag"): "16", ("core", "fernet_key"): "",
                ("webserver", "base_url"): "http://localhost:8080", ("api", "base_url"): "http://localhost:8080", ("smtp", "smtp_mail_from"): "airflow@example.com",
                ("operators", "default_owner"): "airflow", ("core", "default_task_retries"): "0", ("email", "email_backend"): "airflow.utils.email.send_email_smtp"}

    def _text(self, section, key):
        import os
        env = os.environ.get(f"AIRFLOW__{section.upper()}__{key.upper()}")
        if env is not None:
            return env
        if (section, key) == ("core", "dags_folder"):
            return settings.dags_dir
        if (section, key) == ("logging", "base_log_folder"):
            return os.path.join(settings.data_dir, "logs")
        return self.DEFAULTS.get((section, key))

    def get(self, section, key, fallback=stores.UNSET, **_):
        text = self._text(section.lower(), key.lower())
        if text is not None:
            return text
        if fallback is not stores.UNSET:
            return fallback
        raise errors.AirflowConfigException(f"section/key [{section}/{key}] not found in config")

    def getint(self, section, key, **kw):
        return int(self.get(section, key, **kw))

    def getfloat(self, section, key, **kw):
        return float(self.get(section, key, **kw))

    def getboolean(self, section, key, **kw):
        value = self.get(section, key, **kw)
        return value if isinstance(value, bool) else str(value).strip().lower() in ("t", "true", "1", "yes", "on")

    def has_option(self, section, option, **_):
        return self._text(section.lower(), option.lower()) is not None

    def getsection(self, section):
        return {k: v for (s, k), v in self.DEFAULTS.items() if s == section} or None

    def as_dict(self, **_):
        return {}

    def __repr__(self):
        return f"<airflow.configuration.AirflowConfigParser object at {id(self):#x}>"


conf = Configuration()


class LoggingMixin:
    @property
    def log(self):
        import logging
        return logging.getLogger("airflow.task")

    logger = log


class AirflowPlugin:
    name = None
    operators, sensors, hooks, executors, macros, admin_views, flask_blueprints, menu_links, appbuilder_views, appbuilder_menu_items = ([] for _ in range(10))


class BaseOperatorLink:
    name = ""
    operators = []

    def get_link(self, operator, *args, **kwargs):
        return ""


class BaseNotifier:
    template_fields = ()

    def __init__(self, *args, **kwargs):
        pass

    def notify(self, context):
        raise NotImplementedError

    def __call__(self, *args):
        context = args[0] if args and isinstance(args[0], dict) else {}
        self.notify(context)


class BaseTrigger:
    def __init__(self, **kwargs):
        self.task_instance = None

    def serialize(self):
        return (f"{type(self).__module__}.{type(self).__qualname__}", {})

    async def run(self):
        raise NotImplementedError
        yield

    async def cleanup(self):
        pass


class BaseEventTrigger(BaseTrigger):
    pass


class TriggerEvent:
    def __init__(self, payload, **_):
        self.payload = payload


class PriorityWeightStrategy:
    def get_weight(self, ti):
        return 1


class _Kept:
    """Keeps what it is given; for objects that only other systems use."""

    def __init__(self, *args, **kwargs):
        self.args = args
        self.__dict__.update(kwargs)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return None


class _KeptConstants(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return cls(name)


class DeadlineReference(_Kept, metaclass=_KeptConstants):
    FIXED_DATETIME = classmethod(lambda cls, *a: cls(*a))
    AVERAGE_RUNTIME = classmethod(lambda cls, *a, **k: cls(*a))


NEVER_EXPIRE = types.SimpleNamespace(name="NEVER_EXPIRE")


def _provide_session(f):
    import functools

    @functools.wraps(f)
    def inner(*args, **kwargs):
        kwargs.setdefault("session", _Session())
        return f(*args, **kwargs)
    return inner


class _Session:
    def __getattr__(self, name):
        raise errors.AirflowException("there is no metadata database: DAG files and tasks have no SQLAlchemy session here")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class _Deprecated:
    pass


def _once(value):
    return lambda *a, **k: value


def _timezone_module():
    names = ("utcnow", "parse", "make_aware", "make_naive", "is_naive", "is_localized", "convert_to_utc", "coerce_datetime", "utc", "utc_epoch")
    return {n: getattr(clock, n) for n in names} | {"datetime": lambda *a, **k: clock.DateTime(*a, **{"tzinfo": clock.UTC, **k}), "initialize": lambda *a: None, "parse_timezone": clock.timezone,
                                                    "from_timestamp": clock.from_timestamp, "coerce_timezone": clock.timezone, "TIMEZONE": clock.UTC}


def _merge(*dicts):
    out = {}
    for d in dicts:
        out.update({d: d} if isinstance(d, str) else d)
    return out


def _public(module, *names):
    return {n: getattr(module, n) for n in names}


def _table():
    python_ops = _public(ops, "PythonOperator", "BranchPythonOperator", "ShortCircuitOperator", "PythonVirtualenvOperator", "ExternalPythonOperator", "BranchPythonVirtualenvOperator",
                         "BranchExternalPythonOperator", "SkipMixin") | {"get_current_context": nodes.get_current_context, "task": taskflow.task, "is_venv_installed": lambda: True}
    base = {"BaseOperator": nodes.BaseOperator, "BaseOperatorLink": BaseOperatorLink, "chain": nodes.chain, "cross_downstream": nodes.cross_downstream, "chain_linear": nodes.chain_linear,
            "BaseOperatorMeta": nodes.OperatorMeta, "apply_defaults": nodes.apply_defaults, "MappedOperator": nodes.MappedOperator}
    bash = {"BashOperator": ops.BashOperator}
    all_sensors = _public(sensors, "BaseSensorOperator", "PokeReturnValue", "poke_mode_only", "PythonSensor", "BashSensor", "TimeSensor", "TimeDeltaSensor", "DateTimeSensor", "FileSensor",
                          "ExternalTaskSensor", "ExternalTaskMarker", "DayOfWeekSensor", "SqlSensor", "TimeSensorAsync", "TimeDeltaSensorAsync", "DateTimeSensorAsync") | {
        "WaitSensor": sensors.TimeDeltaSensor, "ExternalTaskSensorLink": BaseOperatorLink, "TimeDeltaSensorAsync": sensors.TimeDeltaSensorAsync}
    trigger_rules = {"TriggerRule": nodes.TriggerRule}
    states = _public(nodes, "State", "TaskInstanceState", "DagRunState") | {"TerminalTIState": nodes.TaskInstanceState, "IntermediateTIState": nodes.TaskInstanceState}
    groups = {"TaskGroup": nodes.TaskGroup, "MappedTaskGroup": nodes.MappedTaskGroup, "TaskGroupContext": nodes.TaskGroupContext, "task_group_to_dict": lambda *a, **k: {}}
    params = _public(stores, "Param", "ParamsDict", "DagParam")
    assets = {n: getattr(schedule, n) for n in ("Asset", "AssetAlias", "AssetAll", "AssetAny", "AssetWatcher", "Dataset", "Metadata", "Model", "AssetAccessControl")}
    datasets = {"Dataset": schedule.Dataset, "DatasetAlias": schedule.AssetAlias, "DatasetAll": schedule.AssetAll, "DatasetAny": schedule.AssetAny, "Metadata": schedule.Metadata}
    timetables = {n: getattr(schedule, n) for n in ("CronTriggerTimetable", "CronDataIntervalTimetable", "DeltaTriggerTimetable", "DeltaDataIntervalTimetable", "MultipleCronTriggerTimetable",
                                                    "EventsTimetable", "AssetOrTimeSchedule", "DatasetOrTimeSchedule", "NullTimetable", "OnceTimetable", "ContinuousTimetable", "Timetable",
                                                    "DataInterval", "DagRunInfo", "TimeRestriction")}
    hooks = {"BaseHook": stores.BaseHook, "FSHook": stores.FSHook, "DbApiHook": stores.BaseHook}
    deadline = {"DeadlineAlert": _Kept, "DeadlineReference": DeadlineReference, "AsyncCallback": _Kept, "SyncCallback": _Kept}
    retry = {n: type(n, (_Kept,), {}) for n in ("RetryPolicy", "ExceptionRetryPolicy", "RetryRule", "RetryDecision")} | {"RetryAction": nodes._names("RetryAction", False, RETRY="retry", FAIL="fail",
                                                                                                                                                DEFAULT="default")}
    decorators = {"dag": taskflow.dag, "task": taskflow.task, "task_group": taskflow.task_group, "setup": taskflow.setup_task, "teardown": taskflow.teardown_task}
    context = {"Context": runtime.Context, "get_current_context": nodes.get_current_context, "AirflowContextDeprecationWarning": DeprecationWarning, "context_merge": lambda c, *a, **k: c.update(*a, **k)}
    model_dag = {"DAG": dags.DAG, "dag": taskflow.dag, "DagModel": _Kept, "get_last_dagrun": _once(None), "ScheduleInterval": object, "ScheduleArg": object, "DagContext": nodes.DagContext,
                 "create_timetable": schedule.make}
    instance = {"TaskInstance": runtime.TaskInstance, "TaskInstanceKey": runtime.TaskInstanceKey, "SimpleTaskInstance": runtime.TaskInstance, "clear_task_instances": lambda *a, **k: None}
    xcom = {"XCom": stores.XCom, "BaseXCom": stores.XCom, "XCOM_RETURN_KEY": "return_value"}
    models = _merge(base, model_dag, params, instance, xcom, {"Variable": stores.Variable, "Connection": stores.Connection, "DagRun": runtime.DagRun, "DagBag": _Kept, "Pool": _Kept,
                                                              "XComArg": nodes.XComArg, "TaskReschedule": _Kept, "Log": _Kept, "SkipMixin": ops.SkipMixin, "BaseHook": stores.BaseHook,
                                                              "Operator": nodes.Operator, "TaskFail": _Kept, "SlaMiss": _Kept, "DAGRun": runtime.DagRun})
    misc = {"TriggerDagRunOperator": ops.TriggerDagRunOperator, "TriggerDagRunLink": BaseOperatorLink, "DagRunOrder": _Kept}
    triggers = {"BaseTrigger": BaseTrigger, "TriggerEvent": TriggerEvent, "BaseEventTrigger": BaseEventTrigger, "StartTriggerArgs": _Kept}
    label = {"Label": nodes.Label, "EdgeModifier": nodes.EdgeModifier}
    day = {"WeekDay": ops.WeekDay, "BranchDayOfWeekOperator": ops.BranchDayOfWeekOperator}
    sdk = _merge(decorators, base, params, assets, timetables, hooks, deadline, retry, label, context, trigger_rules, states, groups, xcom, triggers,
                 {"DAG": dags.DAG, "asset": taskflow.asset, "Variable": stores.Variable, "Connection": stores.Connection, "XComArg": nodes.XComArg, "WeightRule": nodes.WeightRule,
                  "TaskInstance": runtime.TaskInstance, "BaseNotifier": BaseNotifier, "BaseSensorOperator": sensors.BaseSensorOperator, "PokeReturnValue": sensors.PokeReturnValue,
                  "BaseBranchOperator": ops.BaseBranchOperator, "BranchMixIn": ops.BranchMixIn, "SkipMixin": ops.SkipMixin, "BaseAsyncOperator": nodes.BaseOperator, "BaseXCom": stores.XCom,
                  "literal": templating.literal, "conf": conf, "get_parsing_context": _once(_Kept(dag_id=None, task_id=None)), "NEVER_EXPIRE": NEVER_EXPIRE, "ResumableJobMixin": object, "timezone": types.SimpleNamespace(**_timezone_module()), "macros": templating.macros(),
                  "DagRunState": nodes.DagRunState, "ObjectStoragePath": _object_path(), "TaskInstanceState": nodes.TaskInstanceState, }, partitions.exports())
    exceptions = {n: v for n, v in vars(errors).items() if isinstance(v, type)}
    pod = {"Secret": _Kept, "Resources": _Kept}
    t = {
        "airflow": {"DAG": dags.DAG, "Dataset": schedule.Dataset, "Asset": schedule.Asset, "XComArg": nodes.XComArg, "AirflowException": errors.AirflowException, "settings": None, "models": None,
                    "__version__": "2.11.2"},
        "airflow.models": models, "airflow.models.dag": model_dag, "airflow.models.baseoperator": base, "airflow.models.mappedoperator": base, "airflow.models.operator": {"Operator": nodes.Operator},
        "airflow.models.param": params, "airflow.models.variable": {"Variable": stores.Variable}, "airflow.models.connection": {"Connection": stores.Connection}, "airflow.models.xcom": xcom,
        "airflow.models.xcom_arg": {"XComArg": nodes.XComArg}, "airflow.models.dagrun": {"DagRun": runtime.DagRun}, "airflow.models.taskinstance": _merge(instance, context),
        "airflow.models.taskinstancekey": instance, "airflow.models.skipmixin": {"SkipMixin": ops.SkipMixin}, "airflow.models.dagbag": {"DagBag": _Kept}, "airflow.models.pool": {"Pool": _Kept},
        "airflow.models.baseoperatorlink": {"BaseOperatorLink": BaseOperatorLink}, "airflow.models.abstractoperator": base, "airflow.models.expandinput": {"EXPAND_INPUT_EMPTY": {}},
        "airflow.models.base": {"Base": object, "ID_LEN": 250}, "airflow.models.dagparam": params, "airflow.models.dataset": {"DatasetModel": _Kept}, "airflow.models.asset": assets,
        "airflow.operators.python": python_ops, "airflow.operators.python_operator": python_ops, "airflow.operators.bash": bash, "airflow.operators.bash_operator": bash,
        "airflow.operators.dummy": {"DummyOperator": ops.DummyOperator}, "airflow.operators.dummy_operator": {"DummyOperator": ops.DummyOperator},
        "airflow.operators.empty": {"EmptyOperator": ops.EmptyOperator}, "airflow.operators.branch": {"BaseBranchOperator": ops.BaseBranchOperator, "BranchMixIn": ops.BranchMixIn},
        "airflow.operators.branch_operator": {"BaseBranchOperator": ops.BaseBranchOperator}, "airflow.operators.latest_only": {"LatestOnlyOperator": ops.LatestOnlyOperator},
        "airflow.operators.latest_only_operator": {"LatestOnlyOperator": ops.LatestOnlyOperator}, "airflow.operators.trigger_dagrun": misc, "airflow.operators.dagrun_operator": misc,
        "airflow.operators.email": {"EmailOperator": ops.EmailOperator}, "airflow.operators.email_operator": {"EmailOperator": ops.EmailOperator},
        "airflow.operators.datetime": {"BranchDateTimeOperator": ops.BranchDateTimeOperator}, "airflow.operators.weekday": day,
        "airflow.operators.generic_transfer": {"GenericTransfer": ops.GenericTransfer}, "airflow.operators.subdag": {"SubDagOperator": ops.SubDagOperator, "SkippedStatePropagationOptions": _Kept},
        "airflow.operators.subdag_operator": {"SubDagOperator": ops.SubDagOperator}, "airflow.operators.smooth": {"SmoothOperator": ops.EmptyOperator},
        "airflow.operators": {"PythonOperator": ops.PythonOperator, "BashOperator": ops.BashOperator, "DummyOperator": ops.DummyOperator, "BranchPythonOperator": ops.BranchPythonOperator,
                              "EmailOperator": ops.EmailOperator, "ShortCircuitOperator": ops.ShortCircuitOperator, "SubDagOperator": ops.SubDagOperator,
                              "TriggerDagRunOperator": ops.TriggerDagRunOperator, "LatestOnlyOperator": ops.LatestOnlyOperator, "BaseOperator": nodes.BaseOperator},
        "airflow.sensors": all_sensors, "airflow.sensors.base": all_sensors, "airflow.sensors.base_sensor_operator": all_sensors, "airflow.sensors.python": all_sensors,
        "airflow.sensors.bash": all_sensors, "airflow.sensors.filesystem": all_sensors, "airflow.sensors.external_task": all_sensors, "airflow.sensors.external_task_sensor": all_sensors,
        "airflow.sensors.date_time": all_sensors, "airflow.sensors.date_time_sensor": all_sensors, "airflow.sensors.time_sensor": all_sensors, "airflow.sensors.time_delta": all_sensors,
        "airflow.sensors.time_delta_sensor": all_sensors, "airflow.sensors.weekday": all_sensors, "airflow.sensors.sql": all_sensors, "airflow.sensors.sql_sensor": all_sensors,
        "airflow.operators.sensors": all_sensors, "airflow.contrib.sensors.file_sensor": all_sensors, "airflow.contrib.sensors.python_sensor": all_sensors, "airflow.contrib.sensors.bash_sensor": all_sensors,
        "airflow.contrib.operators.branch_day_of_week_operator": day, "airflow.contrib.hooks.fs_hook": hooks,
        "airflow.decorators": decorators, "airflow.decorators.base": {"DecoratedOperator": taskflow.DecoratedOperator, "TaskDecorator": taskflow.TaskDecorator,
                                                                     "task_decorator_factory": lambda python_callable=None, *, multiple_outputs=None, decorated_operator_class, **kw: taskflow._factory(
                                                                         decorated_operator_class)(python_callable, multiple_outputs, **kw)},
        "airflow.decorators.task_group": {"task_group": taskflow.task_group}, "airflow.decorators.python": {"python_task": taskflow.task.python},
        "airflow.sdk": sdk, "airflow.providers.common.compat.sdk": sdk | {"timezone": types.SimpleNamespace(**_timezone_module())}, "airflow.providers.common.compat": {},
        "airflow.providers.common": {}, "airflow.sdk.bases": {}, "airflow.sdk.bases.operator": base, "airflow.sdk.bases.sensor": all_sensors, "airflow.sdk.bases.hook": hooks,
        "airflow.sdk.bases.notifier": {"BaseNotifier": BaseNotifier}, "airflow.sdk.bases.xcom": xcom, "airflow.sdk.bases.operatorlink": {"BaseOperatorLink": BaseOperatorLink},
        "airflow.sdk.bases.branch": {"BaseBranchOperator": ops.BaseBranchOperator, "BranchMixIn": ops.BranchMixIn}, "airflow.sdk.bases.skipmixin": {"SkipMixin": ops.SkipMixin},
        "airflow.sdk.bases.decorator": {"DecoratedOperator": taskflow.DecoratedOperator, "TaskDecorator": taskflow.TaskDecorator},
        "airflow.sdk.definitions": {}, "airflow.sdk.definitions.dag": model_dag, "airflow.sdk.definitions.asset": assets, "airflow.sdk.definitions.asset.decorators": {"asset": taskflow.asset},
        "airflow.sdk.definitions.asset.metadata": {"Metadata": schedule.Metadata}, "airflow.sdk.definitions.param": params, "airflow.sdk.definitions.taskgroup": groups,
        "airflow.sdk.definitions.edges": label, "airflow.sdk.definitions.context": context, "airflow.sdk.definitions.deadline": deadline,
        "airflow.sdk.definitions.mappedoperator": base, "airflow.sdk.definitions.xcom_arg": {"XComArg": nodes.XComArg}, "airflow.sdk.definitions.connection": {"Connection": stores.Connection},
        "airflow.sdk.definitions.variable": {"Variable": stores.Variable}, "airflow.sdk.definitions.template": {"literal": templating.literal}, "airflow.sdk.definitions.retry_policy": retry,
        "airflow.sdk.definitions.timetables": timetables, "airflow.sdk.definitions.timetables.trigger": timetables, "airflow.sdk.definitions.timetables.interval": timetables,
        "airflow.sdk.definitions.timetables.assets": timetables, "airflow.sdk.definitions.timetables.events": timetables, "airflow.sdk.definitions.timetables.simple": timetables,
        "airflow.sdk.exceptions": exceptions, "airflow.sdk.execution_time": {}, "airflow.sdk.execution_time.context": context | {"AIRFLOW_VAR_NAME_FORMAT_MAPPING": {}, "NEVER_EXPIRE": NEVER_EXPIRE},
        "airflow.sdk.timezone": _timezone_module(), "airflow.sdk.types": {"RuntimeTaskInstanceProtocol": object, "DagRunProtocol": object}, "airflow.sdk.yaml": {}, "airflow.sdk.io": {},
        "airflow.sdk.observability": {}, "airflow.sdk.configuration": {"conf": conf}, "airflow.sdk.api": {}, "airflow.sdk.log": {},
        "airflow.exceptions": exceptions, "airflow.configuration": {"conf": conf, "get": conf.get, "getboolean": conf.getboolean, "AIRFLOW_HOME": "."}, "airflow.macros": {}, "airflow.plugins_manager":
        {"AirflowPlugin": AirflowPlugin}, "airflow.settings": {"Session": _Session, "TIMEZONE": clock.UTC, "DAGS_FOLDER": "", "AIRFLOW_HOME": ".", "engine": None, "conf": conf,
                                                               "STATE_COLORS": {}}, "airflow.hooks.base": hooks, "airflow.hooks.base_hook": hooks, "airflow.hooks": hooks, "airflow.hooks.filesystem": hooks,
        "airflow.hooks.dbapi": hooks, "airflow.hooks.dbapi_hook": hooks,
        "airflow.datasets": datasets, "airflow.datasets.metadata": datasets, "airflow.assets": assets, "airflow.assets.metadata": assets,
        "airflow.timetables": timetables, "airflow.timetables.base": timetables, "airflow.timetables.trigger": timetables, "airflow.timetables.interval": timetables,
        "airflow.timetables.events": timetables, "airflow.timetables.datasets": timetables, "airflow.timetables.assets": timetables, "airflow.timetables.simple": timetables,
        "airflow.triggers": {}, "airflow.triggers.base": triggers, "airflow.triggers.temporal": {"TimeDeltaTrigger": _Kept, "DateTimeTrigger": _Kept}, "airflow.listeners": {"hookimpl": lambda f=None, **k: f or (lambda g: g)},
        "airflow.notifications": {}, "airflow.notifications.basenotifier": {"BaseNotifier": BaseNotifier}, "airflow.lineage": {}, "airflow.lineage.entities": {"File": _Kept, "Table": _Kept}, "airflow.lineage.datasets": {"File": _Kept, "DataSet": _Kept, "HiveTable": _Kept},
        "airflow.task": {}, "airflow.task.trigger_rule": trigger_rules, "airflow.task.weight_rule": {"WeightRule": nodes.WeightRule}, "airflow.task.priority_strategy":
        {"PriorityWeightStrategy": PriorityWeightStrategy}, "airflow.io": {}, "airflow.io.path": {"ObjectStoragePath": _object_path()}, "airflow.secrets": {"BaseSecretsBackend": object},
        "airflow.utils": {"timezone": None, "dates": None}, "airflow.utils.dates": {"days_ago": clock.days_ago, "date_range": clock.date_range, "parse_execution_date": clock.parse, "timezone": None,
                                                                                 "cron_presets": schedule.PRESETS},
        "airflow.utils.trigger_rule": trigger_rules, "airflow.utils.task_group": groups, "airflow.utils.state": states, "airflow.utils.timezone": _timezone_module(),
        "airflow.utils.helpers": {"chain": nodes.chain, "cross_downstream": nodes.cross_downstream, "validate_key": nodes.validate_key, "chunks": _chunks, "as_tuple": lambda o: tuple(o) if isinstance(o, (list, tuple)) else (o,),
                                  "as_flattened_list": _flattened, "alchemy_to_dict": lambda o: dict(vars(o)), "ask_yesno": lambda *a: False, "parse_template_string": None, "at_most_one":
                                  lambda *a: sum(bool(x) for x in a) <= 1, "exactly_one": lambda *a: sum(bool(x) for x in a) == 1, "prune_dict": lambda v, mode="strict": v, "is_container":
                                  lambda v: hasattr(v, "__iter__") and not isinstance(v, str), "render_template_as_native": None, "merge_dicts": lambda a, b: {**a, **b}},
        "airflow.utils.edgemodifier": label, "airflow.utils.context": context, "airflow.utils.email": {"send_email": ops.send_email, "send_email_smtp": ops.send_email},
        "airflow.utils.session": {"provide_session": _provide_session, "create_session": _Session, "NEW_SESSION": None}, "airflow.utils.db": {"provide_session": _provide_session,
                                                                                                                                          "create_session": _Session, "resetdb": lambda *a: None},
        "airflow.utils.decorators": {"apply_defaults": nodes.apply_defaults}, "airflow.utils.weekday": {"WeekDay": ops.WeekDay}, "airflow.utils.weight_rule": {"WeightRule": nodes.WeightRule},
        "airflow.utils.types": {"DagRunType": nodes.DagRunType, "NOTSET": nodes.NOTSET, "ArgNotSet": nodes.Missing, "DagRunTriggeredByType": _Kept}, "airflow.utils.log": {},
        "airflow.utils.log.logging_mixin": {"LoggingMixin": LoggingMixin, "StreamLogWriter": _Kept}, "airflow.utils.log.secrets_masker": {"mask_secret": lambda *a, **k: None}, "airflow.utils.file":
        {"TemporaryDirectory": _temporary_directory}, "airflow.utils.operator_helpers": {"context_to_airflow_vars": lambda c, in_env_var_format=False: runtime.airflow_env(c),
                                                                                                         "determine_kwargs": lambda f, a, k: ops.callable_arguments(f, k, a, {})},
        "airflow.utils.operator_resources": {"Resources": _Kept}, "airflow.utils.module_loading": {"import_string": _import_string}, "airflow.utils.python_virtualenv": {},
        "airflow.utils.process_utils": {"execute_in_subprocess": lambda cmd, cwd=None: __import__("subprocess").check_call(cmd, cwd=cwd)}, "airflow.utils.strings": {"to_boolean":
                                                                                                                                                             lambda s: str(s).lower() in ("y", "yes", "t", "true", "on", "1")},
        "airflow.utils.setup_teardown": {"SetupTeardownContext": nodes.SetupTeardownContext}, "airflow.utils.xcom": {"XCOM_RETURN_KEY": "return_value"}, "airflow.utils.net": {},
        "airflow.utils.template": {"literal": templating.literal}, "airflow.typing_compat": {}, "airflow.executors": {}, "airflow.serialization": {}, "airflow.compat": {},
        "airflow.compat.functools": {"cache": __import__("functools").cache, "cached_property": __import__("functools").cached_property}, "airflow.kubernetes": {}, "airflow.kubernetes.secret": pod,
        "airflow.contrib": {}, "airflow.contrib.sensors": {}, "airflow.contrib.operators": {}, "airflow.contrib.hooks": {}, "airflow.version": {"version": "2.11.2"},
    }
    standard = {"operators.python": python_ops, "operators.bash": bash, "operators.empty": t["airflow.operators.empty"], "operators.datetime": t["airflow.operators.datetime"],
                "operators.weekday": day, "operators.latest_only": t["airflow.operators.latest_only"], "operators.trigger_dagrun": misc, "operators.smooth": t["airflow.operators.smooth"],
                "operators.branch": t["airflow.operators.branch"],
                "operators.hitl": _public(ops, "HITLOperator", "ApprovalOperator", "HITLBranchOperator", "HITLEntryOperator"), "sensors.python": all_sensors, "sensors.bash": all_sensors, "sensors.filesystem": all_sensors,
                "sensors.external_task": all_sensors, "sensors.date_time": all_sensors, "sensors.time": all_sensors, "sensors.time_delta": all_sensors, "sensors.weekday": all_sensors,
                "hooks.filesystem": hooks, "triggers.file": {"FileDeleteTrigger": type("FileDeleteTrigger", (BaseEventTrigger, _Kept), {})}, "utils.skipmixin": {"SkipMixin": ops.SkipMixin}, "utils.weekday": day,
                "decorators": {}, "operators": {}, "sensors": {}, "hooks": {}, "triggers": {}, "utils": {}, "": {}}
    for name, values in standard.items():
        t["airflow.providers.standard" + ("." + name if name else "")] = values
    t["airflow.utils"]["timezone"] = t["airflow.utils.dates"]["timezone"] = types.SimpleNamespace(**_timezone_module())
    smtp = {"EmailOperator": ops.EmailOperator}
    t.update({"airflow.providers": {}, "airflow.providers.smtp.operators.smtp": smtp, "airflow.providers.smtp": {}, "airflow.providers.smtp.operators": {}})
    from tidemill.flow import providers
    t.update(providers.table())
    return t


def _temporary_directory(*args, **kwargs):
    import tempfile
    return tempfile.TemporaryDirectory(*args, **kwargs)


def _flattened(items):
    """[1, [2, (3,)]] -> [1, 2, 3]; texts stay whole."""
    out = []
    for item in items:
        out += _flattened(item) if isinstance(item, (list, tuple, set)) else [item]
    return out


def _chunks(items, size):
    for i in range(0, len(items), size):
        yield items[i:i + size]


def _import_string(path):
    module, _, name = path.rpartition(".")
    return getattr(__import__(module, fromlist=[name]), name)


def _object_path():
    import pathlib
    real = type(pathlib.Path())

    class ObjectStoragePath(real):
        """Files of the machine behind object-store paths; other schemes are refused when used."""

        def __new__(cls, *args, conn_id=None, **kwargs):
            text = str(args[0]) if args else "."
            return real.__new__(cls, text[7:] if text.startswith("file://") else text, *args[1:])

        def __init__(self, *args, conn_id=None, **kwargs):
            if sys.version_info >= (3, 12):
                text = str(args[0]) if args else "."
                super().__init__(text[7:] if text.startswith("file://") else text, *args[1:])

    return ObjectStoragePath


# ---- stand-ins for what is not here ----
def stand_in(module, name):
    """A class by what its name says it is."""
    if name.endswith(("Sensor", "SensorAsync")):
        kind = type(nodes.BaseOperator)(name, (ops.UnavailableOperator, sensors.BaseSensorOperator) if False else (ops.UnavailableOperator,), {"provider_module": module, "__module__": module})
    elif name.endswith(("Operator", "OperatorAsync", "Transfer")) or "Operator" in name:
        kind = type(nodes.BaseOperator)(name, (ops.UnavailableOperator,), {"provider_module": module, "__module__": module})
    elif name.endswith("Hook"):
        kind = type(name, (stores.BaseHook,), {"__module__": module, "__getattr__": _missing_attribute(module, name)})
    elif name[:1].islower() and name != name.upper():
        def kind(*args, **kwargs):
            raise errors.AirflowException(f"{module}.{name} is not available: Tidemill does not bring this provider")
        kind.__name__ = name
    else:
        kind = type(name, (_Kept,), {"__module__": module})
    return kind


def _missing_attribute(module, name):
    def get(self, attribute):
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        raise errors.AirflowException(f"{module}.{name} is not available: Tidemill does not bring this provider, and it is not installed for {sys.executable}")
    return get


class _Module(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        full = f"{self.__name__}.{name}"
        if full in EXPORTS or any(k.startswith(full + ".") for k in EXPORTS):
            return __import__(full, fromlist=["x"])
        if self.__name__ == "airflow" or self.__name__.startswith(KNOWN_ONLY) and not self.__name__.startswith(OPEN):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = stand_in(self.__name__, name)
        setattr(self, name, value)
        return value


KNOWN_ONLY = ("airflow.models", "airflow.operators.python", "airflow.operators.bash", "airflow.decorators", "airflow.utils", "airflow.exceptions", "airflow.sdk", "airflow.configuration",
              "airflow.timetables", "airflow.providers.standard.operators.python", "airflow.providers.standard.operators.bash")
OPEN = ("airflow.utils.log", "airflow.utils.net")


class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "pendulum" or name.startswith("pendulum."):
            if any(f is not self and hasattr(f, "find_spec") and f.find_spec("pendulum", None) for f in sys.meta_path):
                return None
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        if name != "airflow" and not name.startswith("airflow."):
            return None
        # The example DAGs of Airflow's wheels import each other; a test puts their folder here.
        root = getattr(sys.modules.get("airflow"), "__path__", None)
        if root and name.startswith("airflow.example_dags"):
            found = importlib.machinery.PathFinder.find_spec(name, [root[0]] if name.count(".") == 1 else path)
            if found is not None:
                return found
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        if not EXPORTS:
            EXPORTS.update(_table())
        if spec.name == "pendulum":
            return clock.pendulum_module()
        if spec.name.startswith("pendulum."):
            return getattr(sys.modules["pendulum"], spec.name.split(".", 1)[1])
        values = EXPORTS.get(spec.name)
        if values is None:
            if spec.name.startswith("airflow.example_dags"):
                raise ModuleNotFoundError(f"No module named {spec.name!r}", name=spec.name)
            if not spec.name.startswith(("airflow.providers", "airflow.contrib", "airflow.operators", "airflow.hooks", "airflow.sensors", "airflow.kubernetes", "airflow.utils.log",
                                         "airflow.executors", "airflow.providers_manager", "airflow.macros", "airflow.secrets", "airflow.www", "airflow.api", "airflow.listeners",
                                         "airflow.timetables", "airflow.models", "airflow.cli", "airflow.jobs", "airflow.sdk", "airflow.callbacks", "airflow.security", "airflow.triggers")):
                raise ModuleNotFoundError(f"No module named {spec.name!r}", name=spec.name)
            values = {}
        module = _Module(spec.name)
        module.__file__ = __file__
        module.__dict__.update({k: v for k, v in values.items() if v is not None})
        if spec.name == "airflow":
            module.__version__ = "3.3.2" if settings.version >= 3 else "2.11.2"
        if spec.name == "airflow.macros":
            module.__dict__.update(vars(templating.macros()))
        if spec.name == "airflow.settings":
            module.DAGS_FOLDER = settings.dags_dir
        return module

    def exec_module(self, module):
        pass


def install():
    if not any(isinstance(f, Finder) for f in sys.meta_path):
        finder = Finder()
        sys.meta_path.insert(0, finder)
        # The real pendulum, where it is installed, comes first.
        sys.meta_path.append(finder)
