#!/bin/bash
# A real Airflow (2.11 or 3.x, the one on the PATH) on this machine, with what `tidemill dag export` wrote.
#
#   airflow.sh start FOLDER     database, imports, then scheduler, DAG processor (3.x), triggerer and page; waits until a DAG can run
#   airflow.sh run FOLDER …     a command in the same environment, as `airflow.sh run FOLDER airflow dags list`
#   airflow.sh stop | status
#
# AIRFLOW_HOME (default ~/airflow) holds its database and logs, AIRFLOW_PORT (18080) is the page's port on loopback. Names of FOLDER/hosts
# that this machine does not know are made known to Airflow's processes alone, by a mount namespace; on a server, put them into /etc/hosts.
set -euo pipefail
export AIRFLOW_HOME=${AIRFLOW_HOME:-$HOME/airflow} AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False PYTHONWARNINGS=ignore
port=${AIRFLOW_PORT:-18080}
pids=$AIRFLOW_HOME/pids
no_proxy=127.0.0.1,localhost${no_proxy:+,$no_proxy}; export no_proxy NO_PROXY=$no_proxy
say() { echo "airflow: $*" >&2; }
fail() { say "$*"; exit 1; }

settings() {
	folder=$(cd "${1:?which folder did tidemill dag export write?}" && pwd)
	[ -e "$folder/airflow.env" ] || fail "$folder has no airflow.env: run \`tidemill dag export $folder\` first"
	set -a
	. "$folder/airflow.env"
	if [ -e "$folder/secrets.env" ]; then . "$folder/secrets.env"; fi
	AIRFLOW__API__HOST=127.0.0.1 AIRFLOW__API__PORT=$port AIRFLOW__API__BASE_URL=http://127.0.0.1:$port
	AIRFLOW__CORE__EXECUTION_API_SERVER_URL=http://127.0.0.1:$port/execution/
	AIRFLOW__WEBSERVER__WEB_SERVER_HOST=127.0.0.1 AIRFLOW__WEBSERVER__WEB_SERVER_PORT=$port AIRFLOW__WEBSERVER__BASE_URL=http://127.0.0.1:$port
	set +a
	version=$("$(dirname "$(command -v airflow || echo ./airflow)")/python" -c 'import importlib.metadata as m; print(m.version("apache-airflow"))' 2>/dev/null || true)
	case $version in 2.* | 3.*) ;; *) fail "no Airflow 2 or 3 on the PATH (activate its environment)" ;; esac
	mkdir -p "$pids" "$AIRFLOW_HOME/logs"
}

# Runs "$@" where the names of FOLDER/hosts are known.
within() {
	local name unknown=
	for name in $(sed -n 's/^[0-9a-f.:]* //p' "$folder/hosts" 2>/dev/null); do getent hosts "$name" >/dev/null || unknown="$unknown $name"; done
	if [ -z "$unknown" ]; then exec "$@"; fi
	cat /etc/hosts "$folder/hosts" >"$AIRFLOW_HOME/hosts"
	exec unshare $([ "$(id -u)" = 0 ] || echo --map-root-user) --mount sh -c 'mount --bind "$0" /etc/hosts && exec "$@"' "$AIRFLOW_HOME/hosts" "$@"
}

part() { # NAME ARGUMENTS…: one component in the background
	local name=$1
	shift
	if [ -e "$pids/$name" ] && kill -0 "$(cat "$pids/$name")" 2>/dev/null; then return 0; fi
	(within setsid airflow "$name" "$@") >"$AIRFLOW_HOME/logs/$name.out" 2>&1 </dev/null &
	echo $! >"$pids/$name"
}

start() {
	settings "$1"
	say "Airflow $version in $AIRFLOW_HOME: database"
	airflow db migrate >"$AIRFLOW_HOME/logs/migrate.out" 2>&1 || { tail -n 5 "$AIRFLOW_HOME/logs/migrate.out"; fail "the database could not be made"; }
	for kind in connections variables pools; do
		[ -e "$folder/$kind.json" ] || continue
		set -- $kind import "$folder/$kind.json"
		[ $kind != connections ] || set -- "$@" --overwrite
		airflow "$@" >"$AIRFLOW_HOME/logs/import.out" 2>&1 || { tail -n 5 "$AIRFLOW_HOME/logs/import.out" >&2; fail "the $kind were not taken"; }
	done
	part scheduler --skip-serve-logs
	part triggerer --skip-serve-logs
	case $version in
	3.*)
		part dag-processor
		part api-server --host 127.0.0.1 --port "$port"
		health=http://127.0.0.1:$port/api/v2/monitor/health
		;;
	*)
		part webserver --hostname 127.0.0.1 --port "$port"
		health=http://127.0.0.1:$port/health
		;;
	esac
	say "waiting for $health"
	for _ in $(seq 600); do
		if python3 - "$health" <<-'PYTHON' 2>/dev/null; then say "ready: http://127.0.0.1:$port/"; return 0; fi
			import json, sys, urllib.request
			parts = json.load(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], timeout=5))
			sys.exit(any(parts[p]["status"] != "healthy" for p in ("metadatabase", "scheduler")))
		PYTHON
		for p in "$pids"/*; do kill -0 "$(cat "$p")" 2>/dev/null || { tail -n 20 "$AIRFLOW_HOME/logs/$(basename "$p").out" >&2; fail "$(basename "$p") ended; its words are above"; }; done
		sleep 0.3
	done
	fail "not ready after 180 s; its output is in $AIRFLOW_HOME/logs"
}

stop() {
	local p
	for p in "$pids"/*; do [ ! -e "$p" ] || kill -TERM -- "-$(cat "$p")" 2>/dev/null || kill -TERM "$(cat "$p")" 2>/dev/null || true; done
	for p in "$pids"/*; do
		[ -e "$p" ] || continue
		for _ in $(seq 100); do kill -0 "$(cat "$p")" 2>/dev/null || break; sleep 0.1; done
		kill -KILL -- "-$(cat "$p")" 2>/dev/null || true
		rm -f "$p"
	done
}

status() {
	local p
	for p in "$pids"/*; do
		[ -e "$p" ] || { echo "nothing runs"; return 1; }
		kill -0 "$(cat "$p")" 2>/dev/null && echo "$(basename "$p"): runs, pid $(cat "$p")" || echo "$(basename "$p"): ended"
	done
}

case ${1:-} in
start) start "${2:-}" ;;
run) settings "${2:-}"; shift 2; within "$@" ;;
stop) stop ;;
status) status ;;
*) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
