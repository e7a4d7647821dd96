#!/bin/bash
# Apache Kafka 4.3.1, one node that is broker and controller (KRaft), loopback only. The storage is formatted at the first start.
#   kafka4.sh start|stop|status|restart|wipe [-p PORT=29092] [-c CONTROLLERPORT=29093] [-d DIRECTORY] [-m HEAP=1g] [-o key=value]…
#   kafka4.sh tool MAINCLASS ARGUMENTS…   any class of its class path
. "$(dirname "$0")/common.sh"
LIB=$STACK/lib/kafka4
CMD=${1:-}; shift || true
installed lib/kafka4
log4j2() { printf 'status=error\nappender.o.type=Console\nappender.o.name=O\nappender.o.target=%s\nappender.o.layout.type=PatternLayout\nappender.o.layout.pattern=[%%d] %%p %%m (%%c)%%n\nrootLogger.level=%s\nrootLogger.appenderRef.o.ref=O\n' "$3" "$2" >"$1"; }
if [ "$CMD" = tool ]; then
	mkdir -p "$STACK/log"
	log4j2 "$STACK/log/tools-log4j2.properties" WARN SYSTEM_ERR
	exec "$JAVA" ${TOOL_OPTS:--Xmx512m} -Dlog4j2.configurationFile="$STACK/log/tools-log4j2.properties" -cp "$LIB/*" "$@"
fi
PORT=$((29092 + OFFSET)) CPORT=$((29093 + OFFSET)) DATA=$STACK/data/kafka4 HEAP=1g EXTRA=() ARGS=("$@")
while getopts p:c:d:m:o: o; do case $o in p) PORT=$OPTARG ;; c) CPORT=$OPTARG ;; d) DATA=$OPTARG ;; m) HEAP=$OPTARG ;; o) EXTRA+=("$OPTARG") ;; *) usage ;; esac; done

start() {
	local id
	already "$DATA/pid" probe_kafka "$PORT" && exit 0
	ports_free "$PORT" "$CPORT"
	mkdir -p "$DATA"
	log4j2 "$DATA/log4j2.properties" INFO SYSTEM_OUT
	cat >"$DATA/server.properties" <<-P
		process.roles=broker,controller
		node.id=1
		listeners=PLAINTEXT://127.0.0.1:$PORT,CONTROLLER://127.0.0.1:$CPORT
		advertised.listeners=PLAINTEXT://127.0.0.1:$PORT,CONTROLLER://127.0.0.1:$CPORT
		controller.listener.names=CONTROLLER
		listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
		controller.quorum.bootstrap.servers=127.0.0.1:$CPORT
		log.dirs=$DATA/logs
		offsets.topic.replication.factor=1
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		share.coordinator.state.topic.replication.factor=1
		share.coordinator.state.topic.min.isr=1
		group.initial.rebalance.delay.ms=0
	P
	printf '%s\n' "${EXTRA[@]}" >>"$DATA/server.properties"
	if [ ! -e "$DATA/logs/meta.properties" ]; then
		echo "kafka4: formatting $DATA/logs"
		id=$("$0" tool kafka.tools.StorageTool random-uuid) || die "the storage tool gave no id"
		"$0" tool kafka.tools.StorageTool format --standalone -t "$id" -c "$DATA/server.properties" >"$DATA/format.log" 2>&1 || { cat "$DATA/format.log" >&2; die "formatting failed"; }
	fi
	launch "$DATA/pid" "$DATA/log" "$JAVA" -Xms"$HEAP" -Xmx"$HEAP" -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 \
		-XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true -Dlog4j2.configurationFile="$DATA/log4j2.properties" -cp "$LIB/*" kafka.Kafka "$DATA/server.properties"
	wait_ready "Kafka 4.3 at 127.0.0.1:$PORT to list its broker" "$DATA/pid" 240 "$DATA/log" probe_kafka "$PORT"
}

case $CMD in
start) start ;;
stop) stop_pid "$DATA/pid" 60 ;;
restart) "$0" stop -d "$DATA"; exec "$0" start "${ARGS[@]}" ;;
status) status_of "$DATA/pid" "$PORT" probe_kafka "$PORT" ;;
wipe) "$0" stop -d "$DATA"; rm -rf "${DATA:?}" ;;
*) usage ;;
esac
