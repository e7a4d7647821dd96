#!/usr/bin/env python3
"""Makes C from the Kafka message definitions (src/kafka/messages/*.msg).

usage: kafka_messages.py OUT_DIR FILE.msg…

Writes OUT_DIR/kafka/messages.h (one struct per message and nested structure, one `_new` function each) and
OUT_DIR/kafka/messages.c (the field tables that the codec interprets). The format of the definitions is described in
src/kafka/messages/README.md.
"""
import os
import re
import sys

SCALARS = {
    "bool": ("bool", "BOOL"), "int8": ("int8_t", "INT8"), "int16": ("int16_t", "INT16"), "uint16": ("uint16_t", "UINT16"),
    "int32": ("int32_t", "INT32"), "int64": ("int64_t", "INT64"), "float64": ("double", "FLOAT64"),
    "uuid": ("struct tm_kafka_uuid", "UUID"), "string": ("struct tm_str", "STRING"), "bytes": ("struct tm_str", "BYTES"),
    "records": ("struct tm_str", "RECORDS"),
}
MAX = 127  # "and later"


class Bad(Exception):
    pass


def snake(name):
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", re.sub(r"([A-Z])([A-Z][a-z])", r"\1_\2", name)).lower()


def versions(text):
    """'3+' -> (3, MAX), '0-12' -> (0, 12), '7' -> (7, 7), 'none' -> (1, 0): never."""
    if text == "none":
        return 1, 0
    m = re.fullmatch(r"(\d+)(\+|-(\d+))?", text)
    if not m:
        raise Bad(f"not a version range: {text}")
    low = int(m[1])
    high = MAX if m[2] == "+" else int(m[3]) if m[3] else low
    if high < low:
        raise Bad(f"the version range {text} is empty")
    return low, high


class Field:
    def __init__(self, line):
        words = line.split()
        if len(words) < 2:
            raise Bad(f"a field needs a name and a type: {line.strip()}")
        self.name, kind = words[0], words[1]
        self.c_name = snake(self.name)
        if self.c_name in ("default", "register", "static", "union", "float", "int", "long", "short"):
            self.c_name += "_"
        self.array = kind.startswith("[]")
        self.type = kind[2:] if self.array else kind
        self.struct = self.type in ("", "{}")
        self.fields = []
        if not self.struct and self.type not in SCALARS:
            raise Bad(f"unknown type {self.type}")
        self.versions, self.null, self.tag, self.default = (0, MAX), (1, 0), -1, None
        rest = words[2:]
        if rest and re.match(r"\d", rest[0]):
            self.versions = versions(rest.pop(0))
        while rest:
            word = rest.pop(0)
            if not rest:
                raise Bad(f"{word} needs a value: {line.strip()}")
            value = rest.pop(0)
            if word == "null":
                self.null = versions(value)
            elif word == "tag":
                self.tag = int(value)
            elif word == "default":
                self.default = value
            else:
                raise Bad(f"unknown word {word}: {line.strip()}")
        # A structure that may be null is a pointer in C, so that null has a value.
        self.pointer = self.struct and not self.array and self.null[0] <= self.null[1]

    def default_c(self):
        if self.default is None:
            return "0"
        if self.default in ("true", "false"):
            return "1" if self.default == "true" else "0"
        return f"INT64_C({self.default})" if int(self.default) != -(1 << 63) else "INT64_MIN"


class Api:
    def __init__(self, path):
        self.path, self.doc, self.name, self.roots = path, "", None, {}
        self.flexible = (1, 0)
        stack = []
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                try:
                    self.line(line.rstrip("\n"), stack)
                except (Bad, ValueError) as e:
                    raise Bad(f"{path}:{number}: {e}") from None
        if not self.name or set(self.roots) != {"request", "response"}:
            raise Bad(f"{path}: needs api, versions, flexible, request and response")

    def line(self, line, stack):
        if line.startswith("#"):
            self.doc = self.doc or line[1:].strip()
            return
        if not line.strip():
            return
        indent = len(line) - len(line.lstrip(" "))
        if indent == 0:
            words = line.split()
            if words[0] == "api":
                self.name, self.key = words[1], int(words[2])
            elif words[0] == "versions":
                self.range = versions(words[1])
            elif words[0] == "flexible":
                self.flexible = versions(words[1])
            elif words[0] in ("request", "response"):
                self.roots[words[0]] = []
                stack[:] = [self.roots[words[0]]]
            else:
                raise Bad(f"unknown word {words[0]}")
            return
        level = indent // 2
        if indent % 2 or level > len(stack):
            raise Bad("wrong indentation")
        field = Field(line)
        del stack[level:]
        stack[-1].append(field)
        if field.struct:
            stack.append(field.fields)


def structs(prefix, fields):
    """(name, fields) of the structure and of all under it, inner ones first."""
    for f in fields:
        if f.struct:
            f.c_struct = f"{prefix}_{f.c_name}"
            yield from structs(f.c_struct, f.fields)
    yield prefix, fields


def c_member(f):
    item = f"struct {f.c_struct}" if f.struct else SCALARS[f.type][0]
    if f.array:
        return f"struct {{ {item} *items; int32_t count; }} {f.c_name};"
    return f"{item} {'*' if f.pointer else ''}{f.c_name};"


def head(out, apis):
    out.append("/* Made by tools/gen/kafka_messages.py from src/kafka/messages: do not edit. */\n"
               "#ifndef TM_KAFKA_MESSAGES_H\n#define TM_KAFKA_MESSAGES_H\n#include \"kafka/codec.h\"\n")
    for api in apis:
        out.append(f"#define TM_KAFKA_{snake(api.name).upper()} {api.key}")
    out.append("\n#define TM_KAFKA_APIS(X) \\")
    for api in apis:
        out.append(f"\tX({api.name}, {snake(api.name)}, {api.key}) \\")
    out.append("")
    for api in apis:
        out.append(f"/* {api.name}: {api.doc} */")
        for kind in ("request", "response"):
            root = f"tm_kafka_{snake(api.name)}_{kind}"
            for name, fields in structs(root, api.roots[kind]):
                out.append(f"struct {name} {{")
                out += [f"\t{c_member(f)}" for f in fields] or ["\tchar nothing;"]
                out.append("};")
                out.append(f"extern const struct tm_kafka_struct {name}_fields;")
                out.append(f"static inline struct {name} *{name}_new(struct tm_arena *arena, size_t n)\n"
                           f"{{\n\treturn tm_kafka_new(&{name}_fields, arena, n);\n}}")
        out.append("")
    out.append("#endif")


def body(out, apis):
    out.append("/* Made by tools/gen/kafka_messages.py from src/kafka/messages: do not edit. */\n#include \"kafka/messages.h\"\n")
    for api in apis:
        for kind in ("request", "response"):
            root = f"tm_kafka_{snake(api.name)}_{kind}"
            for name, fields in structs(root, api.roots[kind]):
                if fields:
                    out.append(f"static const struct tm_kafka_field {name}_list[] = {{")
                for f in fields:
                    kind_c = "STRUCT" if f.struct else SCALARS[f.type][1]
                    parts = [f'.name = "{f.name}"', f".type = TM_KAFKA_TYPE_{kind_c}", f".offset = offsetof(struct {name}, {f.c_name})",
                             f".min = {f.versions[0]}, .max = {f.versions[1]}", f".null_min = {f.null[0]}, .null_max = {f.null[1]}", f".tag = {f.tag}"]
                    if f.array:
                        parts.append(".array = true")
                    if f.pointer:
                        parts.append(".pointer = true")
                    if f.struct:
                        parts.append(f".sub = &{f.c_struct}_fields")
                    if f.default is not None:
                        parts.append(f".default_value = {f.default_c()}")
                    out.append("\t{" + ", ".join(parts) + "},")
                if fields:
                    out.append("};")
                listed = f"{name}_list" if fields else "NULL"
                out.append(f"const struct tm_kafka_struct {name}_fields = {{{listed}, {len(fields)}, sizeof(struct {name})}};")
    out.append("\nconst struct tm_kafka_api tm_kafka_apis[] = {")
    for api in apis:
        name = f"tm_kafka_{snake(api.name)}"
        out.append(f'\t{{"{api.name}", {api.key}, {api.range[0]}, {api.range[1]}, {api.flexible[0] if api.flexible[1] else MAX}, '
                   f"&{name}_request_fields, &{name}_response_fields}},")
    out.append("};\nconst size_t tm_kafka_api_count = sizeof tm_kafka_apis / sizeof *tm_kafka_apis;")


def write(path, lines):
    text = "\n".join(lines) + "\n"
    try:
        with open(path, encoding="utf-8") as f:
            if f.read() == text:
                return
    except FileNotFoundError:
        pass
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def main(out_dir, paths):
    apis = sorted((Api(p) for p in paths), key=lambda a: a.key)
    for a, b in zip(apis, apis[1:]):
        if a.key == b.key:
            raise Bad(f"{a.path} and {b.path} have the same key {a.key}")
    os.makedirs(os.path.join(out_dir, "kafka"), exist_ok=True)
    lines = []
    head(lines, apis)
    write(os.path.join(out_dir, "kafka", "messages.h"), lines)
    lines = []
    body(lines, apis)
    write(os.path.join(out_dir, "kafka", "messages.c"), lines)


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2:])
    except Bad as bad:
        sys.exit(f"error: {bad}")
