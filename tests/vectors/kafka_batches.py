"""kafka/batches: record batches as Kafka's own library wrote and read them, and what its broker answered to broken ones."""
import hashlib

import programs


def same_bytes(got, want):
    if isinstance(want, dict):
        raw = bytes.fromhex(got)
        return len(raw) == want["length"] and hashlib.sha256(raw).hexdigest() == want["sha256"]
    return got == want


def differs(got, want):
    """The first field of a batch that is not as it should be, or None."""
    for field, value in want.items():
        if field != "records" and got.get(field) != value:
            return f"{field} is {got.get(field)}, not {value}"
    if len(got["records"]) != len(want["records"]):
        return f"{len(got['records'])} records, not {len(want['records'])}"
    for index, (record, expected) in enumerate(zip(got["records"], want["records"])):
        for field, value in expected.items():
            if field == "control_type":
                continue
            right = same_bytes(record.get(field), value) if field in ("key", "value") else record.get(field) == value
            if not right:
                return f"record {index}: {field} is {str(record.get(field))[:60]}, not {str(value)[:60]}"
    return None


def judge_good(ask, case):
    answer = ask("read " + case["hex"])
    if "error" in answer or answer["left"]:
        return f"not read: {answer.get('error', 'bytes left over')}"
    if len(answer["batches"]) != len(case["batches"]):
        return f"{len(answer['batches'])} batches, not {len(case['batches'])}"
    for got, want in zip(answer["batches"], case["batches"]):
        wrong = differs(got, want)
        if wrong:
            return wrong
    new = [b for b in answer["batches"] if b["magic"] == 2]
    again = "".join(b["again"] for b in new)
    if all(b["codec"] == "none" for b in new):
        return None if again in (case["hex"], "") else "written again to other bytes"
    # A codec may choose other bytes for the same records: what counts is that they are read back as they were.
    back = ask("read " + again)
    for got, want in zip(back["batches"], case["batches"]):
        wrong = differs(got, {k: v for k, v in want.items() if k not in ("size_in_bytes", "crc")})
        if wrong:
            return f"written again and read back: {wrong}"
    return None if len(back["batches"]) == len(new) else "written again, not all is read back"


def judge_library(ask, case):
    want, answer = case["library"], ask("read " + case["hex"])
    if want["exception"]:
        return None if "error" in answer else "read without an error"
    if "error" in answer:
        return f"refused: {answer['error']}"
    records = sum(len(b["records"]) for b in answer["batches"])
    if (len(answer["batches"]), records) != (want["batches_read"], want["records_read"]):
        return f"{len(answer['batches'])} batches with {records} records, not {want['batches_read']} with {want['records_read']}"
    return None


def judge_broker(ask, case):
    want, answer = case["broker_produce_v9"], ask("produce " + case["hex"])
    for field in ("errorCode", "errorMessage"):
        if answer[field] != want[field]:
            return f"{field} is {answer[field]}, not {want[field]}"
    return None if (answer["baseOffset"] >= 0) == (want["baseOffset"] >= 0) else "base offset"


def run(files):
    program, areas, misses = programs.Filter("log_batches"), {}, {}

    def count(area, name, wrong):
        entry = areas.setdefault(area, [0, 0])
        entry[1] += 1
        entry[0] += wrong is None
        if wrong is not None:
            misses[name] = wrong

    for path in files:
        for case in programs.lines(path):
            if case["kind"] == "good":
                count("good", case["name"], judge_good(program.ask, case))
                continue
            count("corrupt: reading", case["name"] + " (read)", judge_library(program.ask, case))
            if case.get("broker_produce_v9"):
                count("corrupt: producing", case["name"] + " (produced)", judge_broker(program.ask, case))
    program.close()
    return areas, misses
