"""What Spark raises, for people: class, message, the place in the pipeline's file; and whether it may go away by itself."""
import re

# Ends of Java's and Python's class names, and words of the connector, which say that another system does not answer.
AWAY = re.compile(
    r"(kafka\.common\.errors\.\w*Timeout|kafka\.common\.errors\.(Disconnect|Network|BrokerNotAvailable|CoordinatorNotAvailable|NotLeader\w*|Retriable|"
    r"UnknownTopicOrPartition|LeaderNotAvailable|NotEnoughReplicas\w*)|AllNodesFailed|NoNodeAvailable|NoHostAvailable|OperationTimedOut|DriverTimeout|"
    r"(Write|Read)Timeout|Unavailable\b|UnavailableException|ClosedConnection|ConnectionShutdown|ConnectException|ConnectionException|"
    r"Failed to open native connection|Connection refused|Connection reset|java\.net\.\w+Exception|SocketTimeout|HeartbeatException)")
PLACES = [
    # (what it looks like, what to add to the position)
    (re.compile(r"== SQL of VIEW (?:`?[\w.]+`?\.)?`?(?P<view>\w+)`?\s*\(line (?P<line>\d+), position (?P<pos>\d+)\)"), 0),
    (re.compile(r"== SQL\s*\(line (?P<line>\d+), position (?P<pos>\d+)\)"), 0),
    (re.compile(r"\(line (?P<line>\d+), pos (?P<pos>\d+)\)"), 1),
    (re.compile(r"; line (?P<line>\d+),? pos (?P<pos>\d+)"), 1),
]
CLASS = re.compile(r"^\s*\[([A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)*)\]\s*")
STATE = re.compile(r"SQLSTATE: (\w{5})")


def chain(error):
    """(class, message) of a Java or Python exception and of its causes, the outermost first."""
    out, java = [], error  # every name is an attribute of an object in Java
    if isinstance(error, BaseException):
        java = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    if java is None:
        while error is not None and len(out) < 20:
            out.append((type(error).__module__ + "." + type(error).__name__, str(error)))
            error = error.__cause__ or error.__context__
        return out
    while java is not None and len(out) < 20:
        out.append((java.getClass().getName(), java.getMessage() or ""))
        following = java.getCause()
        java = following if following is not None and not following.equals(java) else None
    return out


def away(causes):
    """The sentence that says which other system does not answer; None: the error stays."""
    for name, message in reversed(causes):
        for line in [name] + message.split("\n"):
            if AWAY.search(line):
                return (message.split("\n")[0] if line is name and message else line).strip()[:300]
    return None


def overtaken(causes):
    """The sentence for a batch that another Spark has put into this checkpoint first: the predecessor's last one. It is in the checkpoint now."""
    if any("CONCURRENT_STREAM_LOG_UPDATE" in message for _, message in causes):
        return "the leader before this one was still writing the query's checkpoint; it goes on from what is there"
    return None


def python_traceback(message):
    """The last line of a Python traceback that came through Java, or None."""
    if "Traceback (most recent call last)" not in message:
        return None
    lines = [line for line in message.split("Traceback (most recent call last)")[-1].split("\n") if line and not line.startswith(" ")]
    return next((line for line in lines if re.match(r"^[\w.]+(Error|Exception|Failure|Available|Out|Request|Refused|Timeout)\w*: ?", line)), None)


def explain(causes, step):
    """{"class", "sqlstate", "what", "line", "column", "view"} of a chain of causes; step: what was at work, or None."""
    told = {"class": "", "sqlstate": "", "what": "", "line": step["line"] if step else 0, "column": step["column"] if step else 0, "view": ""}
    for name, message in causes:  # the innermost that has one of Spark's classes wins
        found = CLASS.match(message)
        if found and (found.group(1) != "STREAM_FAILED" or not told["class"]):
            told["class"] = found.group(1)
            told["what"] = message[found.end():]
            told["sqlstate"] = (STATE.search(message) or [None, ""])[1]
    if not told["what"] and causes:
        told["what"] = causes[-1][1] or causes[-1][0]
        told["class"] = told["class"] or causes[-1][0].rsplit(".", 1)[-1]
    text = "\n".join(message for _, message in causes)
    told["what"] = python_traceback(text) or told["what"]
    for pattern, add in PLACES:
        found = pattern.search(text)
        if found:
            told["view"] = found.groupdict().get("view") or ""
            told["at"] = (int(found.group("line")), int(found.group("pos")) + add)
            break
    what = told["what"].split("\n== SQL")[0].split("\n\tat ")[0].strip()
    told["what"] = re.sub(r"\s*SQLSTATE: \w{5}\s*$", "", what)[:580]
    return told


def place(told, step, views):
    """Puts line and column of the file into told; views: {name: step} of the views there are."""
    at = told.pop("at", None)
    view = told.pop("view")
    step = views.get(view.lower(), step) if view else step
    if at and step and "text_line" in step:
        told["line"] = step["text_line"] + at[0] - 1 - (0 if view else step.get("lines_before", 0))
        told["column"] = at[1] + (step["text_column"] - 1 if told["line"] == step["text_line"] else 0)
    if step:
        told["file"] = step["file"]
    return told
