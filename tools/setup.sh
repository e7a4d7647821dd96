#!/bin/sh
# tools/setup.sh WHAT…: installs the Debian (or Ubuntu) packages that WHAT (build, run, test, check, fuzz, stack) needs and that are missing, with a
# word on what and why. NO_INSTALL=1 only tells. Fast when nothing is missing.
set -eu
list=$(dirname "$0")/packages.txt
missing=
for what in "$@"; do
	while read -r package for why; do
		case $package in ''|'#'*) continue ;; esac
		[ "$for" = "$what" ] || continue
		# Other names after a bar are what other distributions call it.
		there= first=${package%%|*}
		for name in $(echo "$package" | tr '|' ' '); do
			[ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null || true)" != installed ] || there=yes
			[ -n "$there" ] || [ "$name" = "${package%%|*}" ] || ! apt-cache show "$name" >/dev/null 2>&1 || apt-cache show "$first" >/dev/null 2>&1 || first=$name
		done
		package=$first
		case $there in
		yes) ;;
		*)
			[ -n "$missing" ] || echo "Missing packages:"
			printf '  %-22s %s\n' "$package" "$why"
			missing="$missing $package" ;;
		esac
	done <"$list"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
	echo "This is no Debian or Ubuntu: please install what these packages hold, then call make again."
	exit 1
fi
if [ "${NO_INSTALL:-0}" = 1 ]; then
	echo "NO_INSTALL=1: nothing is installed. Install them with: apt-get install$missing"
	exit 1
fi
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "Installing them with apt-get …"
export DEBIAN_FRONTEND=noninteractive
if ! $sudo apt-get install -y --no-install-recommends $missing >/tmp/tidemill-apt.log 2>&1; then
	{ $sudo apt-get update && $sudo apt-get install -y --no-install-recommends $missing; } >/tmp/tidemill-apt.log 2>&1 || {
		tail -n 20 /tmp/tidemill-apt.log
		echo "apt-get failed (its output is in /tmp/tidemill-apt.log). Install them by hand, then call make again:$missing"
		exit 1
	}
fi
