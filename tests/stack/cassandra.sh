#!/bin/bash
# Apache Cassandra 5.0.9, one node, on JDK 11 or 17, loopback only.
#   cassandra.sh start|stop|status|restart|wipe [-p PORT=19042] [-s STORAGEPORT=17000] [-j JMXPORT=17199] [-d DIRECTORY] [-m HEAP=1024m] [-n] [-y 'key: value']… [-J jvmflag]…
#     -n  does not touch the whole heap at start (the stock settings do; without it an idle node is smaller)
#     -y  replaces or adds a line of cassandra.yaml, e.g. -y 'authenticator: PasswordAuthenticator'
#   cassandra.sh nodetool ARGUMENTS…   (JMXPORT in the environment, or 17199)
. "$(dirname "$0")/common.sh"
LIB=$STACK/lib/cassandra
CMD=${1:-}; shift || true
installed lib/cassandra
"$JAVA" -version 2>&1 | grep -qE '"(11|17)\.' || die "Cassandra 5.0 needs Java 11 or 17, here is: $("$JAVA" -version 2>&1 | head -1). JAVA_HOME can name another."
JPMS=(-Djdk.attach.allowAttachSelf=true)
for x in java.base/jdk.internal.misc java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server java.sql/java.sql \
	java.base/java.lang.ref jdk.unsupported/sun.misc jdk.compiler/com.sun.tools.javac.file jdk.attach/sun.tools.attach; do
	JPMS+=(--add-exports "$x=ALL-UNNAMED")
done
for x in java.base/java.lang.module java.base/jdk.internal.loader java.base/jdk.internal.ref java.base/jdk.internal.reflect java.base/jdk.internal.math \
	java.base/jdk.internal.module java.base/jdk.internal.util.jar jdk.management/com.sun.management.internal java.base/sun.nio.ch java.base/java.io \
	java.base/java.lang.reflect jdk.compiler/com.sun.tools.javac java.base/java.lang java.base/java.util java.base/java.nio java.rmi/sun.rmi.transport.tcp; do
	JPMS+=(--add-opens "$x=ALL-UNNAMED")
done
logback() { printf '<configuration><appender name="O" class="ch.qos.logback.core.ConsoleAppender"><target>System.%s</target><encoder><pattern>%%-5level [%%thread] %%date{ISO8601} %%F:%%L - %%msg%%n</pattern></encoder></appender><root level="%s"><appender-ref ref="O"/></root></configuration>\n' "$3" "$2" >"$1"; }
if [ "$CMD" = nodetool ]; then
	mkdir -p "$STACK/log"
	logback "$STACK/log/tools-logback.xml" WARN err
	exec "$JAVA" -Xmx128m "${JPMS[@]}" -Dlogback.configurationFile="$STACK/log/tools-logback.xml" -Dcassandra.logdir="$STACK/log" \
		-cp "$LIB/*" org.apache.cassandra.tools.NodeTool -h 127.0.0.1 -p "${JMXPORT:-17199}" "$@"
fi
PORT=$((19042 + OFFSET)) SPORT=$((17000 + OFFSET)) JMX=$((17199 + OFFSET)) DATA=$STACK/data/cassandra HEAP=1024m PRETOUCH=-XX:+AlwaysPreTouch YAML=() FLAGS=() ARGS=("$@")
while getopts p:s:j:d:m:ny:J: o; do
	case $o in p) PORT=$OPTARG ;; s) SPORT=$OPTARG ;; j) JMX=$OPTARG ;; d) DATA=$OPTARG ;; m) HEAP=$OPTARG ;; n) PRETOUCH= ;; y) YAML+=("$OPTARG") ;; J) FLAGS+=("$OPTARG") ;; *) usage ;; esac
done

yaml() {
	local l
	cat >"$DATA/cassandra.yaml" <<-P
		cluster_name: Test Cluster
		num_tokens: 16
		partitioner: org.apache.cassandra.dht.Murmur3Partitioner
		endpoint_snitch: SimpleSnitch
		seed_provider:
		  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
		    parameters:
		      - seeds: "127.0.0.1:$SPORT"
		listen_address: 127.0.0.1
		rpc_address: 127.0.0.1
		storage_port: $SPORT
		native_transport_port: $PORT
		start_native_transport: true
		data_file_directories: [$DATA/data]
		commitlog_directory: $DATA/commitlog
		hints_directory: $DATA/hints
		saved_caches_directory: $DATA/saved_caches
		cdc_raw_directory: $DATA/cdc_raw
		commitlog_sync: periodic
		commitlog_sync_period: 10000ms
		commitlog_segment_size: 32MiB
		concurrent_reads: 32
		concurrent_writes: 32
		memtable_allocation_type: heap_buffers
		disk_failure_policy: stop
		materialized_views_enabled: true
		user_defined_functions_enabled: true
		sasi_indexes_enabled: true
	P
	for l in "${YAML[@]}"; do
		sed -i "/^${l%%:*}:/d" "$DATA/cassandra.yaml"
		echo "$l" >>"$DATA/cassandra.yaml"
	done
	# A sync mode takes only its own settings.
	grep -q '^commitlog_sync: periodic' "$DATA/cassandra.yaml" || sed -i '/^commitlog_sync_period:/d' "$DATA/cassandra.yaml"
}

start() {
	already "$DATA/pid" probe_cassandra "$PORT" && exit 0
	ports_free "$PORT" "$SPORT" "$JMX"
	mkdir -p "$DATA/triggers"
	yaml
	logback "$DATA/logback.xml" INFO out
	case $HEAP in *[gG] | 102[4-9]m | 10[3-9]?m | 1[1-9]??m | [2-9]???m | ?????m) FLAGS+=(-XX:G1HeapRegionSize=16m) ;; esac
	# One node: nobody to settle gossip with.
	MALLOC_ARENA_MAX=4 launch "$DATA/pid" "$DATA/log" "$JAVA" -ea -da:net.openhft... -XX:+UseThreadPriorities -XX:+HeapDumpOnOutOfMemoryError -XX:HeapDumpPath="$DATA" \
		-Xss256k -XX:+UseTLAB -XX:+ResizeTLAB -XX:+UseNUMA -XX:+PerfDisableSharedMem -Djava.net.preferIPv4Stack=true -XX:+UseG1GC -XX:+ParallelRefProcEnabled \
		-XX:MaxTenuringThreshold=1 -XX:G1RSetUpdatingPauseTimePercent=5 -XX:MaxGCPauseMillis=300 -XX:InitiatingHeapOccupancyPercent=70 \
		-Dio.netty.tryReflectionSetAccessible=true -Dio.netty.allocator.useCacheForAllThreads=true -Dio.netty.allocator.maxOrder=11 \
		-Xms"$HEAP" -Xmx"$HEAP" $PRETOUCH "-XX:OnOutOfMemoryError=kill -9 %p" -javaagent:"$(ls "$LIB"/jamm-*.jar)" "${FLAGS[@]}" "${JPMS[@]}" \
		-Dcassandra.skip_wait_for_gossip_to_settle=0 -Dcassandra.ring_delay_ms=0 \
		-Dcassandra.jmx.local.port="$JMX" -Dcom.sun.management.jmxremote.authenticate=false -Dcassandra.libjemalloc=- \
		-Dcassandra.config="file://$DATA/cassandra.yaml" -Dcassandra.storagedir="$DATA" -Dcassandra.logdir="$DATA" -Dcassandra.triggers_dir="$DATA/triggers" \
		-Dlogback.configurationFile="file:$DATA/logback.xml" -Dcassandra-foreground=yes -cp "$LIB/*" org.apache.cassandra.service.CassandraDaemon
	wait_ready "Cassandra at 127.0.0.1:$PORT to answer OPTIONS" "$DATA/pid" 360 "$DATA/log" probe_cassandra "$PORT"
}

case $CMD in
start) start ;;
stop) stop_pid "$DATA/pid" 60 ;;
restart) "$0" stop -d "$DATA"; exec "$0" start "${ARGS[@]}" ;;
status) status_of "$DATA/pid" "$PORT" probe_cassandra "$PORT" ;;
wipe) "$0" stop -d "$DATA"; rm -rf "${DATA:?}" ;;
*) usage ;;
esac
