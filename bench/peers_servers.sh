# peers_servers.sh: sourced by peers.sh: starts one server at a time on a free loopback port over an empty folder, and ends it by its id.
# Wants $build, $work and $room (reservations that a Holdfast shall hold); keeps $server (its process, empty: none), $port and $folder. What each is told, and why, stands in METHOD.md.
server= port= events_port= folder=$work/data
postgres_bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)

# A port that nobody listens on now. Taken by somebody else in between, the start fails and says so.
free_port() {
	while :; do
		port=$((12000 + RANDOM % 20000)) # below those that clients are given
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || return 0
	done
}
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$port"); }

# until_true COMMAND...: waits up to 30 s, as long as the server lives.
until_true() {
	for _ in {1..1500}; do
		"$@" 2>/dev/null && return
		kill -0 "$server" 2>/dev/null || break
		sleep 0.02
	done
	echo "peers: a server did not start; its log:" >&2
	tail -5 "$work/log" >&2
	return 1
}

# in_background COMMAND...: the server itself is what runs under $server, so that its id ends it.
in_background() {
	"$@" >"$work/log" 2>&1 </dev/null &
	server=$!
}

start_holdfast() { # [GATE]
	local ports=$work/ports
	rm -f "$ports"
	in_background "$build/holdfastd" --data "$folder" --listen 127.0.0.1:0 --port-file "$ports" --gate "${1:-off}" --http off \
		--push off --feed off --events 127.0.0.1:0 --reservations-max "$room" \
		--reservations-ready $((room * 3 / 10)) --history-ready 6000000 --journal-bytes-max 0 --queue-age-ms 0 \
		--image-age-ms 3s
	until_true test -e "$ports" || return
	port=$(sed -n 's/^rpc=//p' "$ports")
	events_port=$(sed -n 's/^events=//p' "$ports")
}
start_holdfast_gate() {
	start_holdfast on || return
	port=$events_port
}

# A bare nanomsg socket that answers: the limit of the gate's door.
start_nanomsg() {
	free_port
	in_background "$build/holdfast-answerer" "$port"
	until_true listens
}

# What one thread and one sync a wake-up can do: the limit of reserving.
start_least() {
	free_port
	in_background "$build/holdfast-least" "$port" "$folder"
	until_true listens
}

start_redis() { # APPENDFSYNC, or none: no file at all
	free_port
	local durable=(--appendonly yes --appendfsync "$1" --auto-aof-rewrite-percentage 0)
	[[ $1 != none ]] || durable=(--appendonly no)
	in_background redis-server --port "$port" --bind 127.0.0.1 --dir "$folder" --save '' "${durable[@]}" --tcp-backlog 1024
	until_true listens
}
start_redis_always() { start_redis always; }
start_redis_everysec() { start_redis everysec; }
start_redis_off() { start_redis no; }
start_redis_none() { start_redis none; }
start_redis_tool() { start_redis none; }

start_tarantool() {
	free_port
	in_background tarantool bench/tarantool_reserve.lua "$port" "$folder"
	until_true listens
}

# PostgreSQL refuses to run as root: then it runs as the user that its package made.
as_postgres=()
[[ $(id -u) != 0 ]] || as_postgres=(setpriv --reuid postgres --regid postgres --clear-groups)

# initdb takes seconds, so its folder is made once and copied.
start_postgres() {
	if [[ ! -d $work/postgres ]]; then
		mkdir "$work/postgres"
		[[ $(id -u) != 0 ]] || chown postgres "$work/postgres"
		(cd "$work/postgres" && "${as_postgres[@]}" "$postgres_bin/initdb" -D "$work/postgres" -U holdfast -A trust --no-sync --locale C -E UTF8) >"$work/log" 2>&1 ||
			{ tail -5 "$work/log" >&2; return 1; }
	fi
	rmdir "$folder"
	cp -a "$work/postgres" "$folder"
	free_port
	in_background "${as_postgres[@]}" "$postgres_bin/postgres" -D "$folder" -p "$port" -h 127.0.0.1 -k "" -c max_connections=200 \
		-c synchronous_commit=on -c fsync=on -c shared_buffers=2GB -c wal_buffers=64MB -c min_wal_size=4GB -c max_wal_size=32GB \
		-c checkpoint_timeout=30min -c jit=off -c plan_cache_mode=force_generic_plan -c update_process_title=off
	# It listens before it is ready, and says no until then.
	until_true "$postgres_bin/pg_isready" -q -h 127.0.0.1 -p "$port"
}

start_postgres_tool() { start_postgres; }

# start KIND: one of the functions above.
start() {
	mkdir "$folder"
	"start_$1"
}

# stop: what they have is thrown away, so nobody gets time to put it in order: SIGKILL; but a gate and PostgreSQL (SIGQUIT: at once) have
# processes of their own to end, and get 20 s for it.
stop() {
	[[ -n $server ]] || return 0
	local signal=KILL
	[[ -z $events_port ]] || signal=TERM
	[[ ! -e $folder/postmaster.pid ]] || signal=QUIT
	kill -"$signal" "$server" 2>/dev/null || true
	for _ in {1..1000}; do
		kill -0 "$server" 2>/dev/null || break
		sleep 0.02
	done
	kill -KILL "$server" 2>/dev/null || true
	wait "$server" 2>/dev/null || true
	server= events_port=
	rm -rf "$folder"
} 2>/dev/null # bash would tell of each that was killed
