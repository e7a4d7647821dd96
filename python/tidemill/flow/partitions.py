"""Partitioned schedules of Airflow 3.2 and newer. Files that use them load and show; a partition key is kept with its run, mapping keys
between assets is not done: such a DAG runs whenever its assets are updated."""
from tidemill.flow import schedule


class _Mapper:
    """Remembers its arguments under their names."""
    module = "base"
    names = ()
    defaults = {}

    def __init__(self, *args, **kwargs):
        self.values = {**self.defaults, **dict(zip(self.names, args)), **kwargs}

    def fields(self):
        return dict(self.values)

    def __eq__(self, other):
        return type(self) is type(other) and self.values == other.values

    def __hash__(self):
        return hash(type(self))


def _mapper(name, module, names=(), **defaults):
    return type(name, (_Mapper,), {"module": module, "names": tuple(names) or tuple(defaults), "defaults": defaults})


def _temporal(name, output):
    return _mapper(name, "temporal", timezone="UTC", input_format="%Y-%m-%dT%H:%M:%S", output_format=output)


IdentityMapper = _mapper("IdentityMapper", "identity")
StartOfHourMapper = _temporal("StartOfHourMapper", "%Y-%m-%dT%H")
StartOfDayMapper = _temporal("StartOfDayMapper", "%Y-%m-%d")
StartOfWeekMapper = _temporal("StartOfWeekMapper", "%Y-%m-%d (W%V)")
StartOfMonthMapper = _temporal("StartOfMonthMapper", "%Y-%m")
StartOfQuarterMapper = _temporal("StartOfQuarterMapper", "%Y-Q{quarter}")
StartOfYearMapper = _temporal("StartOfYearMapper", "%Y")
FixedKeyMapper = _mapper("FixedKeyMapper", "fixed_key", ("downstream_key",))
WaitForAll = _mapper("WaitForAll", "wait_policy")
MinimumCount = _mapper("MinimumCount", "wait_policy", ("n",))


class AllowedKeyMapper(_Mapper):
    module, names = "allowed_key", ("allowed_keys",)


class ProductMapper(_Mapper):
    module = "product"

    def __init__(self, *mappers, delimiter="|"):
        super().__init__(delimiter=delimiter, mappers=list(mappers))


class RollupMapper(_Mapper):
    names = ("upstream_mapper", "window", "wait_policy")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.values.setdefault("wait_policy", WaitForAll())


class FanOutMapper(_Mapper):
    module, names = "temporal", ("upstream_mapper", "window", "downstream_mapper", "max_downstream_keys")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if "downstream_mapper" not in self.values:
            segments = type(self.values.get("window")).__name__ == "SegmentWindow"
            self.values["downstream_mapper"] = IdentityMapper() if segments else StartOfDayMapper()


class Window(_Mapper):
    module, names = "window", ("direction",)
    FORWARD = FORWARDS = "forward"
    BACKWARD = BACKWARDS = "backward"

    class Direction:
        FORWARD, BACKWARD = "forward", "backward"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.values["direction"] = str(self.values.get("direction", "forward"))


HourWindow, DayWindow, WeekWindow, MonthWindow, QuarterWindow, YearWindow = (type(n, (Window,), {}) for n in ("HourWindow", "DayWindow", "WeekWindow", "MonthWindow", "QuarterWindow", "YearWindow"))


class SegmentWindow(_Mapper):
    module, names = "window", ("segments",)

    def fields(self):
        return {"segments": sorted(self.values["segments"])}


class PartitionedAssetTimetable(schedule.AssetTriggeredTimetable):
    summary = "Partitioned Asset"

    def __init__(self, *, assets, partition_mapper_config=None, default_partition_mapper=None):
        super().__init__(assets if isinstance(assets, schedule._Condition) else schedule.AssetAll(*assets))
        self.partition_mapper_config = partition_mapper_config or {}
        self.default_partition_mapper = default_partition_mapper or IdentityMapper()


class PartitionedAtRuntime(schedule.NullTimetable):
    summary, description = "PartitionedAtRuntime", "Never, partition key(s) set at runtime"


class CronPartitionTimetable(schedule.CronTriggerTimetable):
    def __init__(self, cron, *, timezone, run_offset=None, run_immediately=False, key_format="%Y-%m-%dT%H:%M:%S"):
        super().__init__(cron, timezone=timezone, run_immediately=run_immediately)
        self.run_offset, self.key_format = run_offset or 0, key_format

    def serialize(self):
        values = super().serialize()
        values.pop("interval")
        return {**values, "run_offset": self.run_offset, "key_format": self.key_format}


def exports():
    return {k: v for k, v in globals().items() if isinstance(v, type) and not k.startswith("_")}
