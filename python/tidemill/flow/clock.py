"""Times as DAG files see them: an aware datetime with the methods of pendulum's DateTime that templates and tasks use, time
zones, and, where the real pendulum is not installed, a module that answers to its name."""
import datetime as dt
import re
import types
import zoneinfo

UTC = dt.timezone.utc
utc = UTC
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]


class Timezone(zoneinfo.ZoneInfo):
    @property
    def name(self):
        return self.key

    def __repr__(self):
        return f"Timezone({self.key!r})"

    def convert(self, value, **_):
        return DateTime.of(value.replace(tzinfo=self) if value.tzinfo is None else value.astimezone(self))

    def datetime(self, *args, **kwargs):
        return DateTime(*args, **kwargs, tzinfo=self)


def timezone(name="UTC"):
    """A time zone by its name, or an offset in hours."""
    if isinstance(name, dt.tzinfo):
        return name
    if isinstance(name, (int, float)):
        return dt.timezone(dt.timedelta(hours=name))
    if name in ("UTC", "utc", "Etc/UTC", None):
        return UTC
    match = re.fullmatch(r"([+-])(\d\d):?(\d\d)", name)
    if match:
        delta = dt.timedelta(hours=int(match[2]), minutes=int(match[3]))
        return dt.timezone(-delta if match[1] == "-" else delta)
    return Timezone(name)


def zone_name(tz):
    if tz is None or tz == UTC:
        return "UTC"
    name = getattr(tz, "key", None) or getattr(tz, "name", None) or getattr(tz, "zone", None)
    if name:
        return name
    return str(tz).replace("UTC", "") or "UTC"


def local_timezone():
    return UTC


def _month_days(year, month):
    return (dt.date(year + month // 12, month % 12 + 1, 1) - dt.timedelta(days=1)).day


def _shift_months(value, months):
    index = value.year * 12 + value.month - 1 + months
    year, month = divmod(index, 12)
    return value.replace(year=year, month=month + 1, day=min(value.day, _month_days(year, month + 1)))


class Duration(dt.timedelta):
    def __new__(cls, days=0, seconds=0, microseconds=0, milliseconds=0, minutes=0, hours=0, weeks=0, years=0, months=0):
        self = super().__new__(cls, days + years * 365 + months * 30, seconds, microseconds, milliseconds, minutes, hours, weeks)
        self.years, self.months = years, months
        return self

    def in_seconds(self):
        return int(self.total_seconds())

    def in_minutes(self):
        return int(self.total_seconds() // 60)

    def in_hours(self):
        return int(self.total_seconds() // 3600)

    def in_days(self):
        return int(self.total_seconds() // 86400)

    def in_weeks(self):
        return self.in_days() // 7

    def total_minutes(self):
        return self.total_seconds() / 60

    def total_hours(self):
        return self.total_seconds() / 3600

    def total_days(self):
        return self.total_seconds() / 86400

    def as_timedelta(self):
        return dt.timedelta(seconds=self.total_seconds())

    @property
    def hours(self):
        return self.seconds // 3600

    @property
    def minutes(self):
        return self.seconds // 60 % 60


TOKEN = re.compile(r"\[([^\]]*)\]|(YYYY|YY|Y|Q|MMMM|MMM|MM|M|DDDD|DDD|DD|D|Do|dddd|ddd|dd|d|E|HH|H|hh|h|mm|m|ss|s|S{1,6}|A|ZZ|Z|zz|z|X|x|LT|L{1,4})")


def _offset(value, colon):
    seconds = int(value.utcoffset().total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("+", seconds)
    return f"{sign}{seconds // 3600:02d}{':' if colon else ''}{seconds // 60 % 60:02d}"


def _token(v, t):
    simple = {"YYYY": f"{v.year:04d}", "YY": f"{v.year % 100:02d}", "Y": str(v.year), "Q": str((v.month - 1) // 3 + 1), "MMMM": MONTHS[v.month - 1],
              "MMM": MONTHS[v.month - 1][:3], "MM": f"{v.month:02d}", "M": str(v.month), "DD": f"{v.day:02d}", "D": str(v.day), "HH": f"{v.hour:02d}",
              "H": str(v.hour), "hh": f"{v.hour % 12 or 12:02d}", "h": str(v.hour % 12 or 12), "mm": f"{v.minute:02d}", "m": str(v.minute),
              "ss": f"{v.second:02d}", "s": str(v.second), "A": "PM" if v.hour >= 12 else "AM", "dddd": WEEKDAYS[v.weekday()], "ddd": WEEKDAYS[v.weekday()][:3],
              "dd": WEEKDAYS[v.weekday()][:2], "d": str((v.weekday() + 1) % 7), "E": str(v.isoweekday())}
    if t in simple:
        return simple[t]
    if t[0] == "S":
        return f"{v.microsecond:06d}"[:len(t)]
    if t in ("DDDD", "DDD"):
        day = v.timetuple().tm_yday
        return f"{day:03d}" if t == "DDDD" else str(day)
    if t == "Do":
        return f"{v.day}{'th' if 10 < v.day < 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(v.day % 10, 'th')}"
    if t in ("Z", "ZZ"):
        return _offset(v, t == "Z")
    if t in ("z", "zz"):
        return zone_name(v.tzinfo) if t == "z" else v.tzname()
    if t == "X":
        return str(int(v.timestamp()))
    if t == "x":
        return str(int(v.timestamp() * 1000))
    return t


def _bare(v):
    return dt.datetime(v.year, v.month, v.day, v.hour, v.minute, v.second, v.microsecond, v.tzinfo, fold=v.fold)


class DateTime(dt.datetime):
    """pendulum's DateTime, as far as DAG files go."""

    @classmethod
    def of(cls, v):
        if type(v) is cls or v is None:
            return v
        return cls(v.year, v.month, v.day, v.hour, v.minute, v.second, v.microsecond, v.tzinfo, fold=v.fold)

    def __str__(self):
        return self.isoformat(" ")

    def __repr__(self):
        fields = [self.year, self.month, self.day, self.hour, self.minute, self.second] + ([self.microsecond] if self.microsecond else [])
        zone = f", tzinfo=Timezone({zone_name(self.tzinfo)!r})" if self.tzinfo is not None else ""
        return f"DateTime({', '.join(map(str, fields))}{zone})"

    def __format__(self, spec):
        return (self.strftime(spec) if "%" in spec else self.format(spec)) if spec else str(self)

    def _absolute(self, delta):
        if self.tzinfo is None or isinstance(self.tzinfo, dt.timezone):
            return DateTime.of(dt.datetime.__add__(self, delta))
        return DateTime.of((_bare(self).astimezone(UTC) + delta).astimezone(self.tzinfo))

    def __add__(self, other):
        if not isinstance(other, dt.timedelta):
            return NotImplemented
        return self._absolute(other)

    __radd__ = __add__

    def __sub__(self, other):
        if isinstance(other, dt.datetime):
            delta = dt.datetime.__sub__(self, other)
            return Duration(days=delta.days, seconds=delta.seconds, microseconds=delta.microseconds)
        if not isinstance(other, dt.timedelta):
            return NotImplemented
        return self._absolute(-other)

    def add(self, years=0, months=0, weeks=0, days=0, hours=0, minutes=0, seconds=0, microseconds=0):
        v = _shift_months(self, years * 12 + months) if years or months else self
        if weeks or days:
            v = DateTime.of(dt.datetime.__add__(v, dt.timedelta(weeks=weeks, days=days)))
        rest = dt.timedelta(hours=hours, minutes=minutes, seconds=seconds, microseconds=microseconds)
        return DateTime.of(v)._absolute(rest) if rest else DateTime.of(v)

    def subtract(self, **units):
        return self.add(**{k: -v for k, v in units.items()})

    def astimezone(self, tz=None):
        return DateTime.of(_bare(self).astimezone(tz))

    def in_timezone(self, tz):
        return self.astimezone(timezone(tz))

    in_tz = in_timezone

    def set(self, tz=None, **fields):
        return DateTime.of(self.replace(**fields, **({"tzinfo": timezone(tz)} if tz else {})))

    def on(self, year, month, day):
        return self.set(year=year, month=month, day=day)

    def at(self, hour, minute=0, second=0, microsecond=0):
        return self.set(hour=hour, minute=minute, second=second, microsecond=microsecond)

    def naive(self):
        return DateTime.of(self.replace(tzinfo=None))

    def format(self, fmt, locale=None):
        return TOKEN.sub(lambda m: m[1] if m[1] is not None else _token(self, m[2]), fmt)

    def to_date_string(self):
        return self.strftime("%Y-%m-%d")

    def to_time_string(self):
        return self.strftime("%H:%M:%S")

    def to_datetime_string(self):
        return self.strftime("%Y-%m-%d %H:%M:%S")

    def to_iso8601_string(self):
        text = self.isoformat()
        return text[:-6] + "Z" if self.tzinfo == UTC and text.endswith("+00:00") else text

    def to_rfc3339_string(self):
        return self.isoformat()

    to_atom_string = to_rfc3339_string

    def to_formatted_date_string(self):
        return self.strftime("%b %d, %Y")

    def to_day_datetime_string(self):
        return self.format("ddd, MMM D, YYYY h:mm A")

    @property
    def int_timestamp(self):
        return int(self.timestamp() // 1)

    @property
    def float_timestamp(self):
        return self.timestamp()

    @property
    def timezone(self):
        return self.tzinfo

    tz = timezone

    @property
    def timezone_name(self):
        return zone_name(self.tzinfo)

    @property
    def offset(self):
        return int(self.utcoffset().total_seconds())

    @property
    def day_of_week(self):
        return self.weekday()

    @property
    def day_of_year(self):
        return self.timetuple().tm_yday

    @property
    def week_of_year(self):
        return self.isocalendar()[1]

    @property
    def week_of_month(self):
        return (self.day + self.replace(day=1).weekday() - 1) // 7 + 1

    @property
    def days_in_month(self):
        return _month_days(self.year, self.month)

    @property
    def quarter(self):
        return (self.month - 1) // 3 + 1

    def start_of(self, unit):
        v = self.replace(microsecond=0)
        order = ["second", "minute", "hour", "day"]
        for u in order[:order.index(unit) if unit in order else 4]:
            v = v.replace(**{u: 0})
        if unit == "week":
            v = v - dt.timedelta(days=v.weekday())
        elif unit == "month":
            v = v.replace(day=1)
        elif unit == "quarter":
            v = v.replace(month=(v.month - 1) // 3 * 3 + 1, day=1)
        elif unit == "year":
            v = v.replace(month=1, day=1)
        return DateTime.of(v)

    def end_of(self, unit):
        length = {"quarter": {"months": 3}, "week": {"weeks": 1}}.get(unit, {unit + "s": 1})
        return self.start_of(unit).add(**length).subtract(microseconds=1)

    def first_of(self, unit, day_of_week=None):
        return self.start_of(unit)

    def last_of(self, unit, day_of_week=None):
        return self.end_of(unit).start_of("day")

    def next(self, day_of_week=None, keep_time=False):
        v = self if keep_time else self.start_of("day")
        v = v.add(days=1)
        while day_of_week is not None and v.weekday() != day_of_week:
            v = v.add(days=1)
        return v

    def previous(self, day_of_week=None, keep_time=False):
        v = self if keep_time else self.start_of("day")
        v = v.subtract(days=1)
        while day_of_week is not None and v.weekday() != day_of_week:
            v = v.subtract(days=1)
        return v

    def diff(self, other=None, abs=True):  # noqa: A002
        delta = (DateTime.of(other) if other else utcnow()) - self
        return Duration(seconds=-delta.total_seconds()) if abs and delta < dt.timedelta(0) else delta

    def diff_for_humans(self, other=None, absolute=False):
        return humans(self, other, absolute)

    def is_past(self):
        return self < utcnow()

    def is_future(self):
        return self > utcnow()


def humans(value, other=None, absolute=False):
    """pendulum's words for a distance."""
    reference = other or utcnow()
    seconds = abs((value - reference).total_seconds())
    later = value > reference
    for unit, size in (("year", 31536000), ("month", 2592000), ("week", 604800), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds >= size and not (unit == "second" and seconds < 10):
            n = int(seconds // size)
            if unit == "day" and n > 27:
                unit, n = "month", 1
            text = f"{n} {unit}{'s' if n != 1 else ''}"
            break
    else:
        text = "a few seconds"
    if absolute:
        return text
    if other is not None:
        return f"{text} {'after' if later else 'before'}"
    return f"in {text}" if later else f"{text} ago"


def utcnow():
    return DateTime.of(dt.datetime.now(UTC))


def coerce_datetime(value, tz=None):
    if value is None:
        return None
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day)
    return DateTime.of(value if value.tzinfo else value.replace(tzinfo=timezone(tz) if tz else UTC))


def parse(text, timezone=None, tz=None, strict=False, **_):  # noqa: A002
    zone = tz or timezone
    text = text.strip()
    try:
        value = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        from dateutil import parser
        value = parser.parse(text)
    return coerce_datetime(value, zone)


def is_naive(value):
    return value.tzinfo is None


def is_localized(value):
    return value.utcoffset() is not None


def make_aware(value, tz=None):
    return DateTime.of(value.replace(tzinfo=timezone(tz) if tz else UTC))


def make_naive(value, tz=None):
    return value.astimezone(timezone(tz) if tz else UTC).replace(tzinfo=None)


def convert_to_utc(value):
    return coerce_datetime(value).astimezone(UTC) if value is not None else None


def days_ago(n, hour=0, minute=0, second=0, microsecond=0):
    today = utcnow().replace(hour=hour, minute=minute, second=second, microsecond=microsecond)
    return today - dt.timedelta(days=n)


def date_range(start_date, end_date=None, num=None, delta=None):
    step = delta if isinstance(delta, dt.timedelta) else dt.timedelta(days=1)
    out, at = [], start_date
    while (end_date is None or at <= end_date) and (num is None or len(out) < num) and (end_date or num):
        out.append(at)
        at = at + step
    return out


def from_timestamp(stamp, tz=UTC):
    return DateTime.of(dt.datetime.fromtimestamp(stamp, timezone(tz)))


def utc_epoch():
    return DateTime(1970, 1, 1, tzinfo=UTC)


def _make(year, month=1, day=1, hour=0, minute=0, second=0, microsecond=0, tz=UTC, fold=1, **_):
    return DateTime(year, month, day, hour, minute, second, microsecond, timezone(tz), fold=fold if not isinstance(timezone(tz), dt.timezone) else 0)


def pendulum_module():
    """A module named pendulum for machines without the real one."""
    m = types.ModuleType("pendulum")
    m.__file__ = __file__

    def now(tz=UTC):
        return utcnow().astimezone(timezone(tz))

    m.DateTime, m.Duration, m.Period, m.Interval, m.Timezone, m.UTC = DateTime, Duration, Duration, Duration, Timezone, UTC
    m.Date, m.Time = dt.date, dt.time
    m.datetime, m.create, m.duration, m.parse, m.timezone, m.from_timestamp, m.now = _make, _make, Duration, parse, timezone, from_timestamp, now
    m.local = lambda *a, **k: _make(*a, **k)
    m.naive = lambda *a, **k: _make(*a, **k).naive()
    m.instance = lambda v, tz=UTC: coerce_datetime(v, tz)
    m.today = lambda tz=UTC: now(tz).start_of("day")
    m.yesterday = lambda tz=UTC: now(tz).start_of("day").subtract(days=1)
    m.tomorrow = lambda tz=UTC: now(tz).start_of("day").add(days=1)
    m.utcnow = utcnow
    m.local_timezone = local_timezone
    m.date, m.time = dt.date, dt.time
    m.from_format = lambda text, fmt, tz=UTC, **_: coerce_datetime(dt.datetime.strptime(text, re.sub(
        "YYYY|MM|DD|HH|mm|ss", lambda t: {"YYYY": "%Y", "MM": "%m", "DD": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}[t[0]], fmt)), tz)
    m.interval = lambda start, end, absolute=False: end - start
    m.period = m.interval
    m.MONDAY, m.TUESDAY, m.WEDNESDAY, m.THURSDAY, m.FRIDAY, m.SATURDAY, m.SUNDAY = range(7)
    m.tz = types.ModuleType("pendulum.tz")
    m.tz.timezone, m.tz.Timezone, m.tz.UTC, m.tz.local_timezone = timezone, Timezone, UTC, local_timezone
    m.__path__ = []
    return m
