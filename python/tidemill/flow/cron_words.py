"""A cron expression in words, for the page: "At 06:00, only on Monday"."""
DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]


def _names(part, names, first):
    for i, n in enumerate(names):
        part = part.upper().replace(n[:3].upper(), str(i + first))
    return part


def _join(words):
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 2 else " and ".join(words)


def _field(part, one, span, step, listed):
    if part == "*":
        return ""
    if "/" in part:
        base, n = part.split("/", 1)
        text = step(n)
        if base != "*" and "-" in base:
            text += ", " + span(*base.split("-", 1))
        elif base != "*":
            text += ", starting " + one(base)
        return text
    if "," in part:
        return listed(_join([_one_or_span(p, one, span) for p in part.split(",")]))
    if "-" in part:
        return span(*part.split("-", 1))
    return listed(one(part))


def _one_or_span(p, one, span):
    return span(*p.split("-", 1)) if "-" in p else one(p)


def _time(h, m):
    return f"{int(h):02d}:{int(m):02d}"


def _clock(minute, hour):
    if minute.isdigit() and hour.isdigit():
        return "At " + _time(hour, minute)
    if minute.isdigit() and all(h.isdigit() for h in hour.split(",")):
        return "At " + _join([_time(h, minute) for h in hour.split(",")])
    if minute == "*" and hour == "*":
        return "Every minute"
    m = "Every minute" if minute == "*" else _field(minute, lambda v: v, lambda a, b: f"minutes {int(a):02d} through {int(b):02d} past the hour", lambda n: "every minute" if n == "1" else
                                                    f"every {n} minutes", lambda t: f"at {t} minutes past the hour" if t != "0" else "")
    h = _field(hour, lambda v: _time(v, 0), lambda a, b: f"between {_time(a, 0)} and {_time(b, 59)}", lambda n: "every hour" if n == "1" else f"every {n} hours", lambda t: f"at {t}") if hour != "*" else (
        "every hour" if minute == "0" else "")
    text = ", ".join(x for x in (m, h) if x) or "Every hour"
    return text[0].upper() + text[1:]


def describe(expression):
    parts = expression.split()
    if len(parts) != 5:
        return ""
    minute, hour, day, month, dow = parts
    try:
        text = _clock(minute, hour)
        if day not in ("*", "?"):
            text += ", on the last day of the month" if day.upper() == "L" else ", " + _field(day, lambda v: str(int(v)), lambda a, b: f"between day {int(a)} and {int(b)} of the month", lambda n:
                                                                                       "every day" if n == "1" else f"every {n} days", lambda t: f"on day {t} of the month")
        if dow not in ("*", "?"):
            d = _names(dow, DAYS, 0)
            text += ", " + _field(d, lambda v: DAYS[int(v) % 7], lambda a, b: f"{DAYS[int(a) % 7]} through {DAYS[int(b) % 7]}", lambda n: f"every {n} days of the week", lambda t: f"only on {t}")
        if month != "*":
            m = _names(month, MONTHS, 1)
            text += ", " + _field(m, lambda v: MONTHS[int(v) - 1], lambda a, b: f"{MONTHS[int(a) - 1]} through {MONTHS[int(b) - 1]}", lambda n: "every month" if n == "1" else f"every {n} months",
                                  lambda t: f"only in {t}")
        return text
    except (ValueError, IndexError):
        return ""
