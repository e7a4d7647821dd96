#!/bin/bash
# Apache Spark as a cluster of one master and one worker, loopback only.
#   spark.sh start|stop|status|restart|wipe -v 35|43 [-p PORT=17077|27077] [-d DIRECTORY] [-c CORES=2] [-m MEMORY=2g]
#   spark.sh probe -v 35|43   one query in local mode, through the Kafka and (3.5) Cassandra classes: is the installation whole?
# Ports after PORT: the master's page, the worker, the worker's page.
. "$(dirname "$0")/common.sh"
CMD=${1:-}; shift || true
V= PORT= DATA= CORES=2 MEM=2g ARGS=("$@")
while getopts v:p:d:c:m: o; do case $o in v) V=$OPTARG ;; p) PORT=$OPTARG ;; d) DATA=$OPTARG ;; c) CORES=$OPTARG ;; m) MEM=$OPTARG ;; *) usage ;; esac; done
case $V in 35) PORT=${PORT:-$((17077 + OFFSET))} ;; 43) PORT=${PORT:-$((27077 + OFFSET))} ;; *) usage ;; esac
ME=spark$V DATA=${DATA:-$STACK/data/spark$V} VENV=$STACK/venv/spark$V
installed "venv/spark$V"
installed "lib/spark$V"
export SPARK_HOME SPARK_LOCAL_IP=127.0.0.1 SPARK_CONF_DIR=$DATA/conf SPARK_DAEMON_MEMORY=256m
SPARK_HOME=$(echo "$VENV"/lib/python3.*/site-packages/pyspark)
# The page of the master says ALIVE, and knows a worker when one is asked for.
probe_master() { probe_http $((PORT + 1)) /json/ ALIVE; }
probe_cluster() { probe_http $((PORT + 1)) /json/ '"aliveworkers" : 1' || probe_http $((PORT + 1)) /json/ '"aliveworkers":1'; }

start() {
	already "$DATA/master/pid" probe_cluster && exit 0
	ports_free "$PORT" $((PORT + 1)) $((PORT + 2)) $((PORT + 3))
	mkdir -p "$DATA/conf" "$DATA/master" "$DATA/worker"
	launch "$DATA/master/pid" "$DATA/master/log" "$SPARK_HOME/bin/spark-class" org.apache.spark.deploy.master.Master \
		--host 127.0.0.1 --port "$PORT" --webui-port $((PORT + 1))
	WAIT=1 wait_ready "the Spark master at 127.0.0.1:$PORT" "$DATA/master/pid" 240 "$DATA/master/log" probe_master || exit 1
	launch "$DATA/worker/pid" "$DATA/worker/log" "$SPARK_HOME/bin/spark-class" org.apache.spark.deploy.worker.Worker \
		--host 127.0.0.1 --port $((PORT + 2)) --webui-port $((PORT + 3)) -c "$CORES" -m "$MEM" -d "$DATA/worker" "spark://127.0.0.1:$PORT"
	wait_ready "the Spark worker to register at 127.0.0.1:$PORT" "$DATA/worker/pid" 240 "$DATA/worker/log" probe_cluster
}

case $CMD in
start) start ;;
stop)
	stop_pid "$DATA/worker/pid" 20
	stop_pid "$DATA/master/pid" 20 ;;
restart) "$0" stop "${ARGS[@]}"; exec "$0" start "${ARGS[@]}" ;;
status) status_of "$DATA/master/pid" "$PORT" probe_cluster ;;
wipe) "$0" stop -v "$V" -d "$DATA"; rm -rf "${DATA:?}" ;;
probe) exec "$VENV/bin/python" "$HERE/spark_probe.py" "$STACK/lib/spark$V" ;;
*) usage ;;
esac
