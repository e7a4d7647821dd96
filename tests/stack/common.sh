# Sourced by the scripts of the systems. A server is detached from the shell, leads a process group of its own, and is known by a file in its
# data directory: pid and the moment it started, so that a number used again is never stopped.
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
STACK=${STACK_HOME:-/var/tmp/tidemill-stack} # jars, environments, data and logs live here, outside every checkout
OFFSET=${STACK_OFFSET:-0} # added to every usual port: a second stack beside the first
JAVA=${JAVA_HOME:+$JAVA_HOME/bin/}java
ME=$(basename "$0" .sh)
die() { echo "$ME: $*" >&2; exit 1; }
now_ms() { date +%s%3N; }
installed() { [ -e "$STACK/$1/.done" ] || die "nothing is installed in $STACK/$1: tests/stack/install.sh ${1#*/}"; }

# When a process started, in clock ticks since boot.
started() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# A process that runs: not one that ended and that nobody has waited for.
alive() { [[ $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) == [!Z]* ]]; }

# pid_of PIDFILE: the pid, when that process still is the one that was started. A file without the moment is an older one's: a Java is believed.
pid_of() {
	local p t
	IFS=" " read -r p t 2>/dev/null <"$1" || [ -n "${p:-}" ] || return 1
	alive "$p" || return 1
	if [ -n "${t:-}" ]; then [ "$t" = "$(started "$p")" ]; else [[ $(readlink "/proc/$p/exe") == *java* ]]; fi && echo "$p"
}

# launch PIDFILE LOGFILE command…
launch() {
	local pf=$1 lf=$2
	shift 2
	setsid nohup "$@" </dev/null >>"$lf" 2>&1 9>&- &
	echo $! "$(started $!)" >"$pf"
}

# wait_ready WHAT PIDFILE SECONDS LOG probe…: waits until the probe answers; after 300 ms says for what. WAIT=0: does not wait.
wait_ready() {
	local what=$1 pf=$2 limit=$3 lf=$4 t0 p t said= next=10000
	shift 4
	[ "${WAIT:-1}" != 0 ] || return 0
	t0=$(now_ms)
	IFS=" " read -r p _ <"$pf"
	while :; do
		if "$@" 2>/dev/null; then echo "$ME: ready in $((($(now_ms) - t0) / 1000)).$(((($(now_ms) - t0) % 1000) / 100)) s, pid $p"; return 0; fi
		t=$(($(now_ms) - t0))
		alive "$p" || { echo "$ME: the process ended. The last lines of $lf:" >&2; tail -n 15 "$lf" >&2; rm -f "$pf"; return 1; }
		[ $t -lt $((limit * 1000)) ] || { echo "$ME: $what did not come in $limit s; its log is $lf" >&2; return 1; }
		if [ -z "$said" ] && [ $t -ge 300 ]; then echo "$ME: waiting for $what"; said=1; fi
		if [ $t -ge $next ]; then echo "$ME: still waiting for $what ($((t / 1000)) s)"; next=$((next + 10000)); fi
		sleep 0.05
	done
}

# stop_pid PIDFILE SECONDS: TERM, and KILL when that does not end it in time; then what is left of its process group.
stop_pid() {
	local pf=$1 limit=${2:-60} p i how=stopped
	p=$(pid_of "$pf") || { rm -f "$pf"; echo "$ME: not running"; return 0; }
	kill -TERM "$p"
	for ((i = 0; i < limit * 20; i++)); do
		alive "$p" || break
		[ $i != 20 ] || echo "$ME: waiting for pid $p to end"
		sleep 0.05
	done
	if alive "$p"; then kill -KILL "$p"; how="killed (it did not end in $limit s)"; fi
	kill -KILL -- "-$p" 2>/dev/null
	rm -f "$pf"
	echo "$ME: $how, pid $p"
}

# status_of PIDFILE PORT probe…: one line; exit status 0 answers, 1 does not, 3 stopped.
status_of() {
	local pf=$1 port=$2 p
	shift 2
	if p=$(pid_of "$pf"); then
		if "$@" 2>/dev/null; then echo "$ME: answers at 127.0.0.1:$port, pid $p, $(mem_of "$p")"; else echo "$ME: pid $p does not answer at 127.0.0.1:$port"; return 1; fi
	elif "$@" 2>/dev/null; then
		echo "$ME: answers at 127.0.0.1:$port, started by somebody else"
	else
		echo "$ME: stopped"
		return 3
	fi
}

# already PIDFILE probe…: true when there is nothing to start.
already() {
	local p
	if p=$(pid_of "$1"); then
		"${@:2}" 2>/dev/null && { echo "$ME: runs already, pid $p"; return 0; }
		die "pid $p runs but does not answer: $0 stop"
	fi
	"${@:2}" 2>/dev/null && { echo "$ME: somebody else's answers there already"; return 0; }
	return 1
}

mem_of() { awk '/^Pss:/{p+=$2} END{printf "%.0f MB", p/1024}' "/proc/$1/smaps_rollup" 2>/dev/null; }
port_free() { ! (exec 3<>/dev/tcp/127.0.0.1/"$1") 2>/dev/null; }
ports_free() { local p; for p in "$@"; do port_free "$p" || die "port $p is taken by something else (ss -ltnp 'sport = :$p' shows by what)"; done; }

# Probes ask in the server's own protocol, with nothing but bash.
probe_zookeeper() {
	local r
	r=$(exec 3<>/dev/tcp/127.0.0.1/"$1" && printf srvr >&3 && timeout 2 cat <&3)
	[[ $r == *Mode:* ]]
}

# Metadata v1 for no topics (correlation id 7): ready when the answer lists a broker.
probe_kafka() {
	local h
	h=$(exec 3<>/dev/tcp/127.0.0.1/"$1" && printf '\0\0\0\x10\0\x03\0\x01\0\0\0\x07\0\x02hi\0\0\0\0' >&3 && timeout 2 head -c 12 <&3 | od -An -tx1 | tr -d ' \n')
	[ "${#h}" = 24 ] && [ "${h:8:8}" = 00000007 ] && [ "${h:16:8}" != 00000000 ]
}

# A broker in ZooKeeper mode lists itself before its topics: when its directory holds one, that must be listed too.
probe_kafka_topic() {
	local d h n
	probe_kafka "$1" || return 1
	d=$(find "$2" -maxdepth 1 -name '*-0' ! -name '__*' 2>/dev/null | head -1)
	[ -n "$d" ] && [ $((SECONDS - BEGAN)) -lt 20 ] || return 0
	d=$(basename "$d")
	h=$(exec 3<>/dev/tcp/127.0.0.1/"$1" && printf '\0\0\0\x10\0\x03\0\x01\0\0\0\x07\0\x02hi\xff\xff\xff\xff' >&3 && {
		n=$(timeout 2 head -c 4 <&3 | od -An -tu1)
		set -- $n
		timeout 2 head -c $((($1 << 24) + ($2 << 16) + ($3 << 8) + $4)) <&3
	} | tr -d '\0')
	[[ $h == *"${d%-0}"* ]]
}

# CQL v4 OPTIONS, answered by SUPPORTED (opcode 06).
probe_cassandra() {
	local h
	h=$(exec 3<>/dev/tcp/127.0.0.1/"$1" && printf '\x04\0\0\0\x05\0\0\0\0' >&3 && timeout 2 head -c 5 <&3 | od -An -tx1 | tr -d ' \n')
	[ "$h" = 8400000006 ]
}

# probe_http PORT PATH WORD: the answer to GET has the word.
probe_http() {
	local r
	r=$(exec 3<>/dev/tcp/127.0.0.1/"$1" && printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$2" >&3 && timeout 3 cat <&3)
	[[ $r == *"$3"* ]]
}

usage() { sed -n '2,/^[^#]/{/^#/p}' "$0" | sed 's/^# \{0,1\}//'; exit 2; }
