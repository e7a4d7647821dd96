"""Pipeline text for a Spark that does not know all of its words. Pure functions; no Spark is needed here.

From 4.1 on the text goes through as it stands. Before, by this table (docs/spark-engine.md):

  STREAM v, STREAM(v)                            -> v: what readStream made is a stream by itself
  relation WATERMARK c DELAY OF INTERVAL ...     -> a view of its own, made by withWatermark(c, ...), under the relation's name
  relation WATERMARK expr AS c DELAY OF ...      -> the same over SELECT expr AS c, * FROM relation

Line breaks stay where they were, so that positions in Spark's errors are those of the file."""
import collections

VERBATIM_SINCE = (4, 1)

# A view to make before the text is run: sql is its relation, over which withWatermark(column, delay) is called.
Watermark = collections.namedtuple("Watermark", "view sql column delay")


def quote(name):
    return "`" + name.replace("`", "``") + "`"


def _splice(data, begin, end, edits):
    """data[begin:end] with the edits that lie in it; they do not overlap."""
    out, at = [], begin
    for first, last, text in sorted(edits):
        if first >= begin and last <= end:
            out += [data[at:first], text]
            at = last
    return b"".join(out + [data[at:end]])


def _instead(data, begin, end, text):
    """text, with as many line breaks as what it stands for."""
    return text.encode() + b"\n" * (data[begin:end].count(b"\n") - text.count("\n"))


def rewrite(text, marks, version, prefix="tidemill_watermark"):
    """The text for this version, and the Watermarks to make first, in order."""
    if version >= VERBATIM_SINCE:
        return text, []
    data, edits, watermarks = text.encode(), [], []
    for mark in marks:
        begin, end = mark["from"], mark["to"]
        if mark["kind"] == "stream":
            edits.append((begin, end, _instead(data, begin, end, ".".join(quote(part) for part in mark["name"].split(".")))))
        elif mark["kind"] == "watermark":
            relation = _splice(data, begin, mark["base_to"], edits).decode()
            edits = [e for e in edits if not (e[0] >= begin and e[1] <= end)]
            view = "%s_%d" % (prefix, len(watermarks) + 1)
            columns = "%s AS %s, *" % (mark["expr"], quote(mark["name"])) if mark["expr"] else "*"
            watermarks.append(Watermark(view, "SELECT %s FROM %s" % (columns, relation), mark["name"], "%d microseconds" % mark["delay_us"]))
            name = view + (" AS " + quote(mark["alias"]) if mark["alias"] else "")
            edits.append((begin, end, _instead(data, begin, end, name)))
    return _splice(data, 0, len(data), edits).decode(), watermarks


def version_of(text):
    """"3.5.9" -> (3, 5)"""
    return tuple(int(part) for part in text.split(".")[:2])
