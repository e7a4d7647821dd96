#!/bin/bash
# The whole stack: tests/stack/stack.sh up|down|status [NAME…]; NAME as in tests/stack/install.sh, default all. `make stack-up`, `stack-down` and
# `stack-status` call it (ONLY="kafka4 cassandra" names some). up installs what is missing, then starts everything side by side.
set -uo pipefail
. "$(dirname "$0")/common.sh"
. "$HERE/progress.sh"
all="zookeeper kafka39 kafka4 cassandra spark35 spark43 airflow33 airflow211"
cmd=${1:-}; shift || true
[ $# -gt 0 ] || set -- $all

# Names with a number behind are one script with a version.
script() {
	case $1 in
	spark*) "$HERE/spark.sh" "$2" -v "${1#spark}" ;;
	airflow*) "$HERE/airflow.sh" "$2" -v "${1#airflow}" ;;
	*) "$HERE/$1.sh" "$2" ;;
	esac
}

up() {
	local n t0 failed=0 pids=() names=()
	t0=$(now_ms)
	"$HERE/install.sh" "$@" || exit 1
	for n in "$@"; do
		# kafka39 starts the ZooKeeper that it registers in.
		[ "$n" = zookeeper ] && [[ " $* " == *" kafka39 "* ]] && continue
		script "$n" start &
		pids+=($!) names+=("$n")
	done
	for n in "${!pids[@]}"; do
		wait "${pids[$n]}" || { failed=1; echo "stack: ${names[$n]} did not start" >&2; }
	done
	echo "stack: $* in $((($(now_ms) - t0) / 1000)) s"
	return $failed
}

case $cmd in
up) up "$@" ;;
down) for ((i = $#; i > 0; i--)); do script "${!i}" stop 2>&1; done ;;
status)
	rc=0
	for n in "$@"; do script "$n" status 2>&1 || rc=$?; done
	exit $rc ;;
*) usage ;;
esac
