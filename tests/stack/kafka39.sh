#!/bin/bash
# Apache Kafka 3.9.2 in ZooKeeper mode, one broker, loopback only. Starts zookeeper.sh first unless -z names one that runs.
#   kafka39.sh start|stop|status|restart|wipe [-p PORT=19092] [-d DIRECTORY] [-m HEAP=1g] [-z HOST:PORT[/CHROOT] | -q ZOOKEEPERPORT=12181] [-o key=value]…
#   kafka39.sh tool MAINCLASS ARGUMENTS…   any class of its class path, e.g. org.apache.kafka.tools.TopicCommand --bootstrap-server 127.0.0.1:19092 --list
. "$(dirname "$0")/common.sh"
LIB=$STACK/lib/kafka39
CMD=${1:-}; shift || true
installed lib/kafka39
log4j() { printf 'log4j.rootLogger=%s, O\nlog4j.appender.O=org.apache.log4j.ConsoleAppender\nlog4j.appender.O.target=%s\nlog4j.appender.O.layout=org.apache.log4j.PatternLayout\nlog4j.appender.O.layout.ConversionPattern=[%%d] %%p %%m (%%c)%%n\nlog4j.logger.org.apache.zookeeper=WARN\n' "$2" "$3" >"$1"; }
if [ "$CMD" = tool ]; then
	mkdir -p "$STACK/log"
	log4j "$STACK/log/tools-log4j.properties" WARN System.err
	exec "$JAVA" ${TOOL_OPTS:--Xmx512m} -Dlog4j.configuration="file:$STACK/log/tools-log4j.properties" -cp "$LIB/*" "$@"
fi
PORT=$((19092 + OFFSET)) DATA=$STACK/data/kafka39 HEAP=1g ZK= ZKPORT=$((12181 + OFFSET)) EXTRA=() ARGS=("$@")
while getopts p:d:m:z:q:o: o; do
	case $o in p) PORT=$OPTARG ;; d) DATA=$OPTARG ;; m) HEAP=$OPTARG ;; z) ZK=$OPTARG ;; q) ZKPORT=$OPTARG ;; o) EXTRA+=("$OPTARG") ;; *) usage ;; esac
done

start() {
	already "$DATA/pid" probe_kafka "$PORT" && exit 0
	ports_free "$PORT"
	mkdir -p "$DATA"
	rm -f "$DATA/own-zk"
	if [ -z "$ZK" ]; then
		"$HERE/zookeeper.sh" start -p "$ZKPORT" -d "$DATA-zk" || exit 1
		ZK=127.0.0.1:$ZKPORT
		[ ! -e "$DATA-zk/pid" ] || echo "$ZKPORT" >"$DATA/own-zk"
	fi
	cat >"$DATA/server.properties" <<-P
		broker.id=0
		listeners=PLAINTEXT://127.0.0.1:$PORT
		advertised.listeners=PLAINTEXT://127.0.0.1:$PORT
		log.dirs=$DATA/logs
		zookeeper.connect=$ZK
		zookeeper.connection.timeout.ms=18000
		offsets.topic.replication.factor=1
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		group.initial.rebalance.delay.ms=0
	P
	printf '%s\n' "${EXTRA[@]}" >>"$DATA/server.properties"
	log4j "$DATA/log4j.properties" INFO System.out
	# After a kill ZooKeeper holds the broker's name until its old session has expired (18 s); a broker that finds it taken ends.
	local from until=$((SECONDS + 40)) why=$DATA/why said=
	while :; do
		from=$(stat -c %s "$DATA/log" 2>/dev/null || echo 0)
		launch "$DATA/pid" "$DATA/log" "$JAVA" -Xms"$HEAP" -Xmx"$HEAP" -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 \
			-XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true -Dlog4j.configuration="file:$DATA/log4j.properties" -cp "$LIB/*" kafka.Kafka "$DATA/server.properties"
		BEGAN=$SECONDS
		wait_ready "Kafka 3.9 at 127.0.0.1:$PORT to list its broker and topics" "$DATA/pid" 240 "$DATA/log" probe_kafka_topic "$PORT" "$DATA/logs" 2>"$why" && return 0
		if [ $SECONDS -ge $until ] || ! tail -c +$((from + 1)) "$DATA/log" | grep -q registerBroker; then cat "$why" >&2; return 1; fi
		[ -n "$said" ] || echo "kafka39: waiting for the session of the broker that was killed to expire in ZooKeeper"
		said=1
		sleep 3
	done
}

case $CMD in
start) start ;;
stop)
	stop_pid "$DATA/pid" 60
	[ ! -e "$DATA/own-zk" ] || "$HERE/zookeeper.sh" stop -d "$DATA-zk" ;;
restart) "$0" stop -d "$DATA"; exec "$0" start "${ARGS[@]}" ;;
status) status_of "$DATA/pid" "$PORT" probe_kafka "$PORT" ;;
wipe) "$0" stop -d "$DATA"; rm -rf "${DATA:?}" "${DATA:?}-zk" ;;
*) usage ;;
esac
