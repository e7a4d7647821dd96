"""Schedules: timetables (decided in C by src/dag/timetable.c; here only described), assets and their conditions."""
import datetime as dt

from tidemill.flow import clock, settings
from tidemill.flow.errors import AirflowTimetableInvalid

PRESETS = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *", "@quarterly": "0 0 1 */3 *",
           "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *"}


def _seconds(delta):
    """A timedelta or relativedelta as JSON."""
    if delta is None:
        return None
    if isinstance(delta, dt.timedelta):
        return {"seconds": delta.total_seconds()}
    return {"relativedelta": {k: getattr(delta, k) for k in ("years", "months", "days", "hours", "minutes", "seconds", "microseconds") if getattr(delta, k, 0)}}


_summary_allowed = [False]


def summary_of(timetable):
    """The summary, in every dialect."""
    _summary_allowed[0] = True
    try:
        return str(getattr(timetable, "summary", ""))
    finally:
        _summary_allowed[0] = False


class DataInterval:
    def __init__(self, start, end):
        self.start, self.end = start, end

    @classmethod
    def exact(cls, at):
        return cls(at, at)

    def __iter__(self):
        return iter((self.start, self.end))


class TimeRestriction:
    def __init__(self, earliest, latest, catchup):
        self.earliest, self.latest, self.catchup = earliest, latest, catchup


class DagRunInfo:
    def __init__(self, run_after, data_interval):
        self.run_after, self.data_interval = run_after, data_interval

    @classmethod
    def exact(cls, at):
        return cls(at, DataInterval.exact(at))

    @classmethod
    def interval(cls, start, end):
        return cls(end, DataInterval(start, end))

    @property
    def logical_date(self):
        return self.data_interval.start


class Timetable:
    kind = None
    description = ""
    periodic = True
    can_be_scheduled = True
    active_runs_limit = None
    asset_condition = None

    def __getattribute__(self, name):
        # In Airflow 3 the DAG file's timetable has no summary; the page asks for `words`.
        if name == "summary" and settings.version >= 3 and not _summary_allowed[0]:
            raise AttributeError("summary")
        return object.__getattribute__(self, name)

    @property
    def summary(self):
        return type(self).__name__

    def spec(self):
        return None

    def serialize(self):
        return {}

    def __eq__(self, other):
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = object.__hash__


class NullTimetable(Timetable):
    kind, description, summary, can_be_scheduled = "null", "Never, external triggers only", "None", False

    def spec(self):
        return {"kind": "null"}


class OnceTimetable(Timetable):
    kind, description, summary = "once", "Once, as soon as possible", "@once"

    def spec(self):
        return {"kind": "once"}


class ContinuousTimetable(Timetable):
    kind, description, summary, active_runs_limit = "continuous", "As frequently as possible, but only one run at a time.", "@continuous", 1

    def spec(self):
        return {"kind": "continuous"}


class _Cron(Timetable):
    def __init__(self, cron, timezone=None, **extra):
        self.given = cron
        self.expression = PRESETS.get(cron, cron)
        self.timezone = timezone
        for key, value in extra.items():
            setattr(self, key, value)

    @property
    def summary(self):
        return self.expression if self.expression not in PRESETS else PRESETS[self.expression]

    @property
    def description(self):
        from tidemill.flow.cron_words import describe
        return describe(self.expression)

    def _zone(self):
        return {"timezone": clock.zone_name(clock.timezone(self.timezone))} if self.timezone is not None else {}

    def validate(self):
        fields = len(self.expression.split())
        if not 5 <= fields <= 7:
            raise AirflowTimetableInvalid(f"Exactly 5, 6 or 7 columns has to be specified for iterator expression, not '{self.expression}'")


class CronDataIntervalTimetable(_Cron):
    kind = "cron_data_interval"

    def spec(self):
        return {"kind": self.kind, "schedule": self.expression, **self._zone()}

    def serialize(self):
        return {"expression": self.expression, "timezone": clock.zone_name(clock.timezone(self.timezone))}


class CronTriggerTimetable(_Cron):
    kind = "cron_trigger"

    def __init__(self, cron, *, timezone=None, interval=None, run_immediately=False):
        super().__init__(cron, timezone, interval=interval or dt.timedelta(), run_immediately=run_immediately)

    def spec(self):
        now = self.run_immediately
        return {"kind": self.kind, "schedule": self.expression, **self._zone(), "interval_s": _interval(self.interval),
                "run_immediately": now.total_seconds() if isinstance(now, dt.timedelta) else now}

    def serialize(self):
        now = self.run_immediately
        return {"expression": self.expression, "timezone": clock.zone_name(clock.timezone(self.timezone)), "interval": _interval(self.interval),
                "run_immediately": now.total_seconds() if isinstance(now, dt.timedelta) else now}


def _interval(interval):
    return interval.total_seconds() if isinstance(interval, dt.timedelta) else _seconds(interval)


class MultipleCronTriggerTimetable(Timetable):
    kind = "multiple_cron_trigger"

    def __init__(self, *crons, timezone=None, interval=None, run_immediately=False):
        if not crons:
            raise ValueError("cron expression required")
        self.timetables = [CronTriggerTimetable(c, timezone=timezone, interval=interval, run_immediately=run_immediately) for c in crons]

    @property
    def summary(self):
        return ", ".join(t.summary for t in self.timetables)

    @property
    def description(self):
        return " and ".join(t.description for t in self.timetables)

    def spec(self):
        first = self.timetables[0].spec()
        return {**first, "kind": self.kind, "schedule": [t.expression for t in self.timetables]}

    def serialize(self):
        first = self.timetables[0].serialize()
        first.pop("expression")
        return {"expressions": [t.expression for t in self.timetables], **first}


class _Delta(Timetable):
    def __init__(self, delta):
        self.delta = delta

    @property
    def summary(self):
        return str(self.delta)

    def spec(self):
        return {"kind": self.kind, "schedule": _seconds(self.delta)}

    def serialize(self):
        return {"delta": _interval(self.delta)}


class DeltaDataIntervalTimetable(_Delta):
    kind = "delta_data_interval"


class DeltaTriggerTimetable(_Delta):
    kind = "delta_trigger"

    def __init__(self, delta, *, interval=dt.timedelta()):
        super().__init__(delta)
        self.interval = interval

    def spec(self):
        return {**super().spec(), "interval_s": _interval(self.interval)}

    def serialize(self):
        return {"delta": _interval(self.delta), "interval": _interval(self.interval)}


class EventsTimetable(Timetable):
    kind = "events"

    def __init__(self, event_dates, restrict_to_events=False, presorted=False, description=None):
        self.event_dates = [clock.coerce_datetime(e) for e in event_dates]
        if not presorted:
            self.event_dates.sort()
        self.restrict_to_events = restrict_to_events
        n = len(self.event_dates)
        self.description = description or (f"{n} events between {self.event_dates[0]} and {self.event_dates[-1]}" if n else "No events")
        self.summary_text = f"{n} events"

    @property
    def summary(self):
        return self.description

    def spec(self):
        return {"kind": "events", "schedule": {"dates": [clock.convert_to_utc(e).isoformat() for e in self.event_dates], "restrict_to_events": self.restrict_to_events}}

    def serialize(self):
        return {"event_dates": [e.timestamp() for e in self.event_dates], "restrict_to_events": self.restrict_to_events, "description": self.description,
                "_summary": self.summary_text}


# ---- assets (datasets) ----
class _Condition:
    def __or__(self, other):
        return AssetAny(self, other)

    def __and__(self, other):
        return AssetAll(self, other)


class Asset(_Condition):
    asset_type = "asset"

    def __init__(self, *args, name=None, uri=None, group=None, extra=None, watchers=None, **kw):
        # AF3: Asset(name, uri); AF2: Dataset(uri). One positional text is both.
        if len(args) == 2:
            name, uri = args
        elif len(args) == 1:
            if settings.version >= 3 or name is not None or type(self).__name__ != "Dataset":
                name, uri = (args[0], uri) if uri is not None or name is None else (name, args[0])
            else:
                uri = args[0]
        self.name = name if name is not None else uri
        self.uri = uri if uri is not None else name
        if self.uri is None:
            raise TypeError("Asset() requires either 'name' or 'uri'")
        self.group = group or self.asset_type
        self.extra = extra or {}
        self.watchers = list(watchers or [])
        self.allow_producer_teams = kw.get("access_control")
        self.access_control = kw.get("access_control")

    def __fspath__(self):
        return self.uri

    def __repr__(self):
        return f"Asset(name={self.name!r}, uri={self.uri!r}, group={self.group!r}, extra={self.extra!r}, watchers=[])"

    def __eq__(self, other):
        return isinstance(other, Asset) and (self.name, self.uri) == (other.name, other.uri)

    def __hash__(self):
        return hash((self.name, self.uri))

    def iter_assets(self):
        return [((self.name, self.uri), self)]

    def condition(self):
        return {"asset": self.uri}

    def leaves(self):
        return [self]

    @classmethod
    def ref(cls, *, name="", uri=""):
        return AssetUriRef(uri) if uri else AssetNameRef(name)


class Dataset(Asset):
    asset_type = "dataset"


class Model(Asset):
    asset_type = "model"


class AssetAlias(_Condition):
    def __init__(self, name, group="asset"):
        self.name, self.group = name, group

    uri = property(lambda self: self.name)

    def __eq__(self, other):
        return isinstance(other, AssetAlias) and self.name == other.name

    def __hash__(self):
        return hash(("alias", self.name))

    def condition(self):
        return {"alias": self.name}

    def leaves(self):
        return [self]


class _Ref(_Condition):
    def condition(self):
        return {"asset": getattr(self, "uri", None) or self.name}

    def leaves(self):
        return [self]


class AssetNameRef(_Ref):
    def __init__(self, name):
        self.name = name


class AssetUriRef(_Ref):
    def __init__(self, uri):
        self.uri = uri


class _Combined(_Condition):
    word = ""

    def __init__(self, *objects):
        self.objects = [o for o in objects]

    def condition(self):
        return {self.word: [o.condition() for o in self.objects]}

    def leaves(self):
        return [leaf for o in self.objects for leaf in o.leaves()]


class AssetAny(_Combined):
    word = "any"

    def __or__(self, other):
        return AssetAny(*self.objects, other)


class AssetAll(_Combined):
    word = "all"

    def __and__(self, other):
        return AssetAll(*self.objects, other)


class AssetWatcher:
    def __init__(self, name, trigger):
        self.name, self.trigger = name, trigger


class AssetAccessControl:
    def __init__(self, **kw):
        self.__dict__.update(kw)


class Metadata:
    def __init__(self, asset, extra=None, alias=None):
        self.asset, self.extra, self.alias = asset, extra or {}, alias


class AssetTriggeredTimetable(Timetable):
    kind, description, periodic, can_be_scheduled = "asset", "Triggered by assets", False, False

    def __init__(self, assets):
        self.asset_condition = assets

    summary = "Asset"

    def spec(self):
        return {"kind": "asset", "assets": self.asset_condition.condition()}


class DatasetTriggeredTimetable(AssetTriggeredTimetable):
    description, summary = "Triggered by datasets", "Dataset"


class AssetOrTimeSchedule(Timetable):
    kind = "asset_or_time"

    def __init__(self, *, timetable, assets=None, datasets=None):
        given = assets if assets is not None else datasets
        self.timetable = timetable
        self.asset_condition = AssetAll(*given) if isinstance(given, (list, tuple, set)) else given

    @property
    def summary(self):
        return f"Asset or {self.timetable.summary}"

    @property
    def description(self):
        return f"Triggered by assets or {self.timetable.description}"

    def spec(self):
        return {"kind": "asset_or_time", "timetable": self.timetable.spec(), "assets": self.asset_condition.condition()}


class DatasetOrTimeSchedule(AssetOrTimeSchedule):
    @property
    def summary(self):
        return f"Dataset or {self.timetable.summary}"

    @property
    def description(self):
        return f"Triggered by datasets or {self.timetable.description}"


def make(schedule, zone):
    """The timetable of what a DAG's `schedule` says, by the rules of the dialect."""
    if schedule is None:
        return NullTimetable()
    if isinstance(schedule, Timetable):
        return schedule
    if isinstance(schedule, _Condition):
        return (AssetTriggeredTimetable if settings.version >= 3 else DatasetTriggeredTimetable)(schedule)
    if isinstance(schedule, (list, tuple, set)) and all(isinstance(s, _Condition) for s in schedule):
        return (AssetTriggeredTimetable if settings.version >= 3 else DatasetTriggeredTimetable)(AssetAll(*schedule))
    if schedule == "@once":
        return OnceTimetable()
    if schedule == "@continuous":
        return ContinuousTimetable()
    if isinstance(schedule, dt.timedelta) or type(schedule).__name__ == "relativedelta":
        return (DeltaTriggerTimetable if settings.version >= 3 else DeltaDataIntervalTimetable)(schedule)
    if isinstance(schedule, str):
        if schedule in ("None", ""):
            return NullTimetable()
        timetable = CronTriggerTimetable(schedule, timezone=zone) if settings.version >= 3 else CronDataIntervalTimetable(schedule, zone)
        timetable.validate()
        return timetable
    if hasattr(schedule, "next_dagrun_info"):
        return schedule
    raise ValueError(f"{schedule!r} is not a valid schedule")
