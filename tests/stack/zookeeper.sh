#!/bin/bash
# Apache ZooKeeper 3.9, one node, loopback only.
#   zookeeper.sh start|stop|status|restart|wipe [-p PORT=12181] [-d DIRECTORY] [-m HEAP=128m]
# The directory is the one beside the data of the Kafka that registers here; -d names another.
. "$(dirname "$0")/common.sh"
CMD=${1:-}; shift || true
PORT=$((12181 + OFFSET)) DATA=$STACK/data/kafka39-zk HEAP=128m ARGS=("$@")
while getopts p:d:m: o; do case $o in p) PORT=$OPTARG ;; d) DATA=$OPTARG ;; m) HEAP=$OPTARG ;; *) usage ;; esac; done
LIB=$STACK/lib/zookeeper

start() {
	installed lib/zookeeper
	already "$DATA/pid" probe_zookeeper "$PORT" && exit 0
	ports_free "$PORT"
	mkdir -p "$DATA/data"
	cat >"$DATA/logback.xml" <<-X
		<configuration><appender name="O" class="ch.qos.logback.core.ConsoleAppender"><encoder><pattern>%d{ISO8601} %-5level [%thread] %logger{36} - %msg%n</pattern></encoder></appender>
		<root level="INFO"><appender-ref ref="O"/></root></configuration>
	X
	cat >"$DATA/zoo.cfg" <<-C
		dataDir=$DATA/data
		clientPort=$PORT
		clientPortAddress=127.0.0.1
		tickTime=2000
		maxClientCnxns=0
		admin.enableServer=false
		4lw.commands.whitelist=srvr,stat,ruok,mntr,conf,cons,isro
	C
	launch "$DATA/pid" "$DATA/log" "$JAVA" -Xms"$HEAP" -Xmx"$HEAP" -XX:+UseG1GC -Djava.awt.headless=true \
		-Dlogback.configurationFile="$DATA/logback.xml" -Dzookeeper.jmx.log4j.disable=true \
		-cp "$LIB/*" org.apache.zookeeper.server.quorum.QuorumPeerMain "$DATA/zoo.cfg"
	wait_ready "ZooKeeper at 127.0.0.1:$PORT to answer srvr" "$DATA/pid" 120 "$DATA/log" probe_zookeeper "$PORT"
}

case $CMD in
start) start ;;
stop) stop_pid "$DATA/pid" 20 ;;
restart) "$0" stop -d "$DATA"; exec "$0" start "${ARGS[@]}" ;;
status) status_of "$DATA/pid" "$PORT" probe_zookeeper "$PORT" ;;
wipe) "$0" stop -d "$DATA"; rm -rf "${DATA:?}" ;;
*) usage ;;
esac
