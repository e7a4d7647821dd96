#!/bin/sh
# tools/web.sh OUT: bundles the page of web/ into OUT.
set -eu
out=$1
top=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$out"
[ -f "$top/web/package.json" ] || exit 0
