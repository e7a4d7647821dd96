#!/usr/bin/env python3
"""embed.py OUT.c DIR: the files of DIR (the bundled page) as a C table, compressed where that helps."""
import gzip
import hashlib
import os
import sys

TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".txt": "text/plain; charset=utf-8"}


def main(out, folder):
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    names = [n for n in names if os.path.splitext(n)[1] in TYPES]
    text = ['#include "http/http_int.h"\n']
    rows = []
    for i, name in enumerate(names):
        with open(os.path.join(folder, name), "rb") as f:
            raw = f.read()
        packed = gzip.compress(raw, 9, mtime=0)
        use = packed if len(packed) < len(raw) else raw
        text.append("static const unsigned char file_%d[] = {%s};\n" % (i, ",".join(map(str, use)) or "0"))
        rows.append('\t{"/%s", "%s", "\\"%s\\"", file_%d, %d, %s},\n' % (
            name, TYPES[os.path.splitext(name)[1]], hashlib.sha256(raw).hexdigest()[:16], i, len(use), "true" if use is packed else "false"))
    text.append("const struct tm_http_asset tm_http_assets[] = {\n%s\t{0},\n};\n" % "".join(rows))
    text.append("const size_t tm_http_asset_count = %d;\n" % len(rows))
    with open(out, "w") as f:
        f.write("".join(text))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
