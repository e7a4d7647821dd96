#!/bin/bash
# Apache Airflow on SQLite, loopback only, without authentication (whoever reaches the port is admin): for tests.
#   airflow.sh start|stop|status|restart|wipe -v 33|211 [-p PORT=18080|28080] [-d AIRFLOW_HOME] [-f DAGSFOLDER=AIRFLOW_HOME/dags] [-e NAME=VALUE]…
#   airflow.sh run -v 33|211 [-d AIRFLOW_HOME] [-f DAGSFOLDER] -- ARGUMENTS…   the airflow command in that environment
# The components are started one by one: their log servers, which would listen on every address, stay off.
. "$(dirname "$0")/common.sh"
CMD=${1:-}; shift || true
V= PORT= DATA= DAGS= ARGS=("$@") EXTRA=()
while getopts v:p:d:f:e: o; do case $o in v) V=$OPTARG ;; p) PORT=$OPTARG ;; d) DATA=$OPTARG ;; f) DAGS=$OPTARG ;; e) EXTRA+=("$OPTARG") ;; *) usage ;; esac; done
shift $((OPTIND - 1))
case $V in 33) PORT=${PORT:-$((18080 + OFFSET))} ;; 211) PORT=${PORT:-$((28080 + OFFSET))} ;; *) usage ;; esac
ME=airflow$V DATA=${DATA:-$STACK/data/airflow$V} VENV=$STACK/venv/airflow$V
DAGS=${DAGS:-$DATA/dags}
installed "venv/airflow$V"
for e in "${EXTRA[@]}"; do export "$e"; done
export PATH=$VENV/bin:$PATH AIRFLOW_HOME=$DATA AIRFLOW__CORE__DAGS_FOLDER=$DAGS AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=False
export AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=sqlite:///$DATA/airflow.db NO_PROXY=127.0.0.1,localhost PYTHONWARNINGS=ignore
export AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME=0.1 AIRFLOW__CORE__PARALLELISM=4 AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False
if [ "$V" = 33 ]; then
	export AIRFLOW__API__HOST=127.0.0.1 AIRFLOW__API__PORT=$PORT AIRFLOW__API__BASE_URL=http://127.0.0.1:$PORT AIRFLOW__API__WORKERS=1
	export AIRFLOW__CORE__EXECUTION_API_SERVER_URL=http://127.0.0.1:$PORT/execution/ AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS=True
	export AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL=10
	HEALTH=/api/v2/monitor/health
	PARTS="api-server|scheduler --skip-serve-logs|dag-processor|triggerer --skip-serve-logs"
else
	export AIRFLOW__WEBSERVER__WEB_SERVER_HOST=127.0.0.1 AIRFLOW__WEBSERVER__WEB_SERVER_PORT=$PORT AIRFLOW__WEBSERVER__BASE_URL=http://127.0.0.1:$PORT
	export AIRFLOW__WEBSERVER__WORKERS=1 AIRFLOW__API__AUTH_BACKENDS=airflow.api.auth.backend.default AIRFLOW__CORE__EXECUTOR=SequentialExecutor
	export AIRFLOW__WEBSERVER__CONFIG_FILE=$DATA/webserver_config.py AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL=10
	HEALTH=/health
	PARTS="webserver|scheduler --skip-serve-logs|triggerer --skip-serve-logs"
fi

# Healthy are the database and the scheduler; what runs in other processes answers by itself.
probe_airflow() {
	local r
	r=$(exec 3<>/dev/tcp/127.0.0.1/"$PORT" && printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$HEALTH" >&3 && timeout 5 cat <&3 | tr -d ' \n\r')
	[[ $r == *'"metadatabase":{"status":"healthy"'* ]] && [[ $(sed 's/.*"scheduler":{\([^}]*\)}.*/\1/' <<<"$r") == *'"status":"healthy"'* ]]
}

each_part() {
	local parts p
	IFS='|' read -ra parts <<<"$PARTS"
	for p in "${parts[@]}"; do "$1" "$p"; done
}
start_part() {
	local name=${1%% *}
	mkdir -p "$DATA/$name"
	launch "$DATA/$name/pid" "$DATA/$name/log" "$VENV/bin/airflow" $1
}
stop_part() { ME="airflow$V ${1%% *}" stop_pid "$DATA/${1%% *}/pid" 20; }

start() {
	local first=${PARTS%%|*}
	already "$DATA/$first/pid" probe_airflow && exit 0
	ports_free "$PORT"
	mkdir -p "$DATA" "$DAGS" "$DATA/log"
	[ "$V" = 33 ] || echo "AUTH_ROLE_PUBLIC = 'Admin'  # loopback, for tests" >"$DATA/webserver_config.py"
	echo "$ME: preparing the database"
	"$VENV/bin/airflow" db migrate >"$DATA/log/migrate" 2>&1 || { tail -n 20 "$DATA/log/migrate" >&2; die "airflow db migrate failed"; }
	each_part start_part
	wait_ready "Airflow's scheduler to be healthy at http://127.0.0.1:$PORT$HEALTH" "$DATA/$first/pid" 360 "$DATA/$first/log" probe_airflow
}

case $CMD in
start) start ;;
stop) each_part stop_part ;;
restart) "$0" stop "${ARGS[@]}"; exec "$0" start "${ARGS[@]}" ;;
status) status_of "$DATA/${PARTS%%|*}/pid" "$PORT" probe_airflow ;;
wipe) "$0" stop -v "$V" -d "$DATA"; rm -rf "${DATA:?}" ;;
run) exec "$VENV/bin/airflow" "$@" ;;
*) usage ;;
esac
