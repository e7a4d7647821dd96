"""kafka/messages: every message of every version as bytes and JSON, of the APIs that the door knows."""
import json

import programs


class Codec(programs.Filter):
    """The C codec as a filter of JSON lines."""

    def __init__(self):
        super().__init__("kafka_codec")
        self.apis = {a["api"]: a for a in self.ask({"apis": True})}

    def ask(self, question):
        return super().ask(json.dumps(question))


def judge(codec, case):
    """None when right, else what is wrong."""
    message = {"api": case["api"], "kind": case["kind"], "version": case["version"]}
    decoded = codec.ask({**message, "hex": case["hex"]})
    if "error" in decoded:
        return decoded["error"]
    if decoded["json"] != case["json"]:
        return "decoded to other JSON"
    if decoded["rest"]:
        return f"{decoded['rest']} bytes left over"
    encoded = codec.ask({**message, "json": case["json"], "records": decoded["records"]})["hex"]
    # Tagged fields that no schema knows are not in the JSON, so that only what is read back can be compared.
    if case["variant"] == "unknown_tags":
        return None if codec.ask({**message, "hex": encoded}).get("json") == case["json"] and decoded["again"] == encoded else "encoded to other bytes"
    if encoded != case["hex"]:
        return "encoded to other bytes"
    return None if decoded["again"] == case["hex"] else "decoded and encoded again to other bytes"


def run(files):
    codec, areas, misses = Codec(), {}, {}
    for path in files:
        for case in programs.lines(path):
            api = codec.apis.get(case["api"])
            if case["kind"] not in ("request", "response") or not api:
                continue
            area = areas.setdefault(f"{case['api']} {case['kind']}", [0, 0])
            area[1] += 1
            wrong = judge(codec, case)
            if wrong:
                misses[f"{case['api']}-{case['kind']}-v{case['version']}-{case['variant']}"] = wrong
            else:
                area[0] += 1
    codec.close()
    return areas, misses
