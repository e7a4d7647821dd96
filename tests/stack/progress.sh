# progress TEXT command…: runs it; after 300 ms says TEXT, then a second count every 5 s on a terminal or 30 s elsewhere, so that nothing waits silently.
progress() {
	local text=$1 p t0 step=30 last=0 said= rc=0 now
	shift
	[ ! -t 1 ] || step=5
	t0=$(date +%s%3N)
	"$@" &
	p=$!
	while kill -0 $p 2>/dev/null; do
		now=$(($(date +%s%3N) - t0))
		if [ -z "$said" ] && [ $now -ge 300 ]; then echo "… $text"; said=1; fi
		if [ $((now / 1000)) -ge $((last + step)) ]; then last=$((now / 1000)); echo "… $text ($last s)"; fi
		sleep 0.05
	done
	wait $p || rc=$?
	return $rc
}
