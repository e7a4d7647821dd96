#!/bin/bash
# tests/stack/install.sh [NAME…]: installs the real systems (zookeeper kafka39 kafka4 cassandra spark35 spark43 airflow33 airflow211; default
# all) from Maven Central and PyPI into $STACK_HOME, outside every checkout: jars in lib/NAME, Python in venv/NAME. What is complete already
# (its .done mark, and the versions of versions.txt) is left alone, so a second call takes no time. STACK_M2 names another Maven repository.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
STACK=${STACK_HOME:-/var/tmp/tidemill-stack}
M2=${STACK_M2:-$HOME/.m2/repository}
PYTHON=${STACK_PYTHON:-/usr/bin/python3}
names="zookeeper kafka39 kafka4 cassandra spark35 spark43 airflow33 airflow211"
. "$here/progress.sh"

rows() { awk -v k="$1" -v n="$2" '$1 == k && $2 == n {print $3}' "$here/versions.txt"; }
fail() { echo "install.sh: $1" >&2; tail -n "${3:-15}" "$2" >&2; echo "install.sh: the whole output is in $2" >&2; exit 1; }

# The named artifacts' own jars are there, in these versions.
jars_there() {
	local gav a v
	[ -e "$STACK/lib/$1/.done" ] || return 1
	for gav in $(rows jar "$1") $(rows only "$1"); do
		IFS=: read -r _ a v <<<"$gav"
		[ -e "$STACK/lib/$1/$a-$v.jar" ] || return 1
	done
}

install_jars() {
	local n=$1 d=$STACK/lib/$1 log=$STACK/log/install-$1.log gav g a v p
	jars_there "$n" && return 0
	rm -rf "$d.new"; mkdir -p "$d.new" "$STACK/log"
	: >"$log"
	if [ -n "$(rows jar "$n")" ]; then
		{
			echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
			echo "<groupId>tidemill</groupId><artifactId>$n</artifactId><version>1</version><packaging>pom</packaging><dependencies>"
			for gav in $(rows jar "$n"); do
				IFS=: read -r g a v <<<"$gav"
				echo "<dependency><groupId>$g</groupId><artifactId>$a</artifactId><version>$v</version></dependency>"
			done
			echo '</dependencies></project>'
		} >"$d.new/pom.xml"
		mvn -B -q -Dmaven.repo.local="$M2" -f "$d.new/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
			-DoutputDirectory="$d.new" >>"$log" 2>&1 || fail "Maven could not bring the jars of $n:" "$log"
		rm "$d.new/pom.xml"
	fi
	for gav in $(rows only "$n"); do
		mvn -B -q -Dmaven.repo.local="$M2" dependency:copy -Dartifact="$gav" -DoutputDirectory="$d.new" >>"$log" 2>&1 ||
			fail "Maven could not bring $gav:" "$log"
	done
	for p in $(rows drop "$n") '*-osx-*' '*-windows-*' '*-aarch_64' '*-riscv64'; do rm -f "$d.new"/$p.jar; done
	touch "$d.new/.done"
	rm -rf "$d"; mv "$d.new" "$d"
	# A folder that lacks a jar it names would be installed again at every call.
	jars_there "$n" || fail "the jars of $n are not those of versions.txt" "$log"
	echo "$n: $(ls "$d" | wc -l) jars, $(du -sh "$d" | cut -f1)"
}

# uv resolves as of a day and shares one cache among the environments; it comes by pip into an environment of its own.
install_uv() {
	UV=$STACK/venv/uv/bin/uv
	[ -x "$UV" ] && return 0
	mkdir -p "$STACK/log"
	{ "$PYTHON" -m venv "$STACK/venv/uv" && "$STACK/venv/uv/bin/python" -m pip install -q uv; } >"$STACK/log/install-uv.log" 2>&1 ||
		fail "no environment for uv:" "$STACK/log/install-uv.log"
}

install_venv() {
	local n=$1 d=$STACK/venv/$1 log=$STACK/log/venv-$1.log want day
	want=$(grep -E "^(pip|date) +$n " "$here/versions.txt" | sha256sum | cut -c1-16)
	[ -n "$(rows pip "$n")" ] || return 0
	[ "$(cat "$d/.done" 2>/dev/null || true)" != "$want" ] || return 0
	install_uv
	day=$(rows date "$n")
	rm -rf "$d"
	export UV_CACHE_DIR=$STACK/cache/uv UV_LINK_MODE=hardlink
	{ "$UV" venv -q --python "$PYTHON" "$d" && mapfile -t reqs < <(rows pip "$n") &&
		"$UV" pip install -q --python "$d/bin/python" ${day:+--exclude-newer "$day"} "${reqs[@]}"; } >"$log" 2>&1 ||
		fail "Python packages of $n:" "$log"
	echo "$want" >"$d/.done"
	echo "$n: $("$UV" pip list -q --python "$d/bin/python" 2>/dev/null | wc -l) packages, $(du -sh "$d" | cut -f1)"
}

[ $# -gt 0 ] || set -- $names
for n in "$@"; do
	case " $names " in *" $n "*) ;; *) echo "install.sh: no system is called '$n'. There are: $names" >&2; exit 2 ;; esac
done
"$here/../../tools/setup.sh" stack
mkdir -p "$STACK"
# One installer at a time; another call waits for it and then finds everything there.
exec 9>"$STACK/.install.lock"
flock -n 9 || { echo "install.sh: waiting for another install.sh"; flock 9; }
for n in "$@"; do
	[ -z "$(rows jar "$n")$(rows only "$n")" ] || { jars_there "$n" || progress "jars of $n from Maven Central" install_jars "$n"; }
	[ -z "$(rows pip "$n")" ] || progress "Python packages of $n" install_venv "$n"
done
