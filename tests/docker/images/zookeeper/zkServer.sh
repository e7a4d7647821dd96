#!/bin/bash
[ "${1:-}" = start-foreground ] || { echo "only start-foreground is served here" >&2; exit 2; }
cat >/tmp/logback.xml <<'X'
<configuration><appender name="O" class="ch.qos.logback.core.ConsoleAppender"><encoder><pattern>%d{ISO8601} %-5level %logger{36} - %msg%n</pattern></encoder></appender><root level="INFO"><appender-ref ref="O"/></root></configuration>
X
exec java "-Xmx${ZK_SERVER_HEAP:-1000}m" -Dlogback.configurationFile=/tmp/logback.xml ${JVMFLAGS:-} ${SERVER_JVMFLAGS:-} -cp '/apache-zookeeper/lib/*' \
	org.apache.zookeeper.server.quorum.QuorumPeerMain "$ZOO_CONF_DIR/zoo.cfg"
