#!/bin/bash
# include_directions.sh: dependencies point one way (include <- core <- persist <- net <- cmd), and each foreign thing stands only
# where the table below says. `tests/include_directions.sh FOLDER` looks at another checkout.
set -uo pipefail
cd "${1:-$(dirname "$0")/..}"
passed=0 failed=0

verdict() { # NAME LINES-THAT-ARE-WRONG
	if [[ -z $2 ]]; then
		echo "ok $1"
		passed=$((passed + 1))
	else
		echo "FAIL $1"
		sed 's/^/     /' <<<"$2"
		failed=$((failed + 1))
	fi
}

# ---- directions: a folder and what it may include of ours -----------------------------------------------------------
sources() { find "$@" -name '*.[ch]' 2>/dev/null | sort; }

while read -r folder may; do
	[[ -d $folder ]] || continue
	# The rehearsal tool's main is a door to bench, which stands beside cmd.
	wrong=$(sources "$folder" | grep -vxF cmd/holdfast-bench.c | xargs -r grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' /dev/null |
	    grep -vE "include[[:space:]]*\"($may)/" || true)
	verdict "${folder}_includes_only_what_is_below_it" "$wrong"
done <<-'END'
	include  holdfast
	core     core
	persist  core|persist
	net      core|persist|net|holdfast
	cmd      core|persist|net|cmd|holdfast
END

# The client is net/client* and the codec: it knows no engine, no log and no loop.
wrong=$(grep -nE '#[[:space:]]*include[[:space:]]*"(persist/|core/(engine|view|cells|state)\.h|net/(host|loop|batcher|ring|connection|listener))' \
    net/client* /dev/null || true)
verdict the_client_knows_no_engine "$wrong"

# The gate's files are the only ones with nanomsg, and the server includes none of them.
wrong=$(sources net cmd/holdfastd.c | grep -vE '^net/gate' | xargs -r grep -nE 'include[[:space:]]*"net/gate' /dev/null |
    grep -vE '^net/gate|net/gate_supervise' || true)
verdict the_server_includes_nothing_of_the_gate "$wrong"

# ---- places: what, where it may stand, the pattern that finds it ----------------------------------------------------
# Programs' mains and clients of cmd may use files and stdio of their own; tests and benches may use anything.
place() { # NAME FOLDERS ALLOWED-FILES PATTERN
	local wrong
	wrong=$(sources $2 | grep -vE "^($3)$" | xargs -r grep -nE "$4" /dev/null | grep -vE '^[^:]*:[0-9]+:[[:space:]]*(\*|/\*|//)' || true)
	verdict "$1" "$wrong"
}
include='^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]'

# The follower is a program of somebody else's, so to say: it keeps its copy in a database of its own.
place lmdb_is_only_in_the_image 'core persist net cmd include' 'persist/image_lmdb\.h|include/holdfast/examples/follower\.c' "${include}lmdb"
place lmdb_is_spoken_only_by_the_image 'core persist net cmd include' 'persist/image(_snapshot|_still)?\.c' \
	"${include}persist/image_lmdb"
place msgpack_is_only_in_the_codecs 'core persist net cmd include' 'net/codec[a-z_]*\.[ch]|net/client_value\.c' "${include}msgpack"
place nanomsg_is_only_in_the_gate 'core persist net cmd include' 'net/gate[a-z_]*\.[ch]' "${include}nanomsg/"
# The supervisor's timer and its child's end are events of the first loop.
place libevent_is_only_in_loops_connections_listeners_and_http 'core persist net cmd include' \
	'net/(loop|connection|listener|http|supervisor)[a-z_]*\.[ch]' "${include}(event2/|event\.h)"
# The other two are the program's fdatasync, for LMDB's calls, too.
place file_calls_are_only_in_disk_posix 'core persist net' 'persist/disk_(posix|pace|sync)\.c' \
	'(^|[^a-zA-Z0-9_>.*])(open|openat|creat|pread|pwrite|preadv|pwritev|fdatasync|fsync|ftruncate|fallocate|posix_fallocate|rename|renameat|unlink|unlinkat|flock|opendir|fdopendir|mkdir|stat|fstat|lstat|fopen|fdopen)\('
place clocks_are_only_in_clock 'core persist net' 'net/clock\.c' '(clock_gettime|gettimeofday|timespec_get|[^a-z_]time\()[^)]*\)'
# The server starts and ends the hosts' threads; the journal has one lock between append and prepare, the
# image one between an opening anew and the readers of its snapshots.
place threads_are_only_in_hosts 'core persist net' \
	'net/(loop|host|server|thread|batcher|ring|feed)[a-z_]*\.[ch]|persist/(journal_private|image_lmdb)\.h' "${include}(pthread|threads|sys/eventfd)"
# The gate's: the feed counts in memory that it shares with another process.
place atomics_are_only_where_tables_and_positions_are_published 'core persist net cmd' \
	'core/(cells|names|index|groups|state)\.[ch]|net/(ring|counters|batcher|host|server|loop|feed)[a-z_]*\.[ch]|net/gate_counters\.h' \
	"(^|[^a-zA-Z_])_Atomic([^a-zA-Z_]|$)|${include}stdatomic"
place nothing_below_net_prints 'core persist' 'none' '(^|[^a-zA-Z0-9_])(printf|puts|perror|fprintf|fputs|putchar)\('
place core_includes_no_system_but_freestanding_headers 'core' 'none' \
	"${include}(stdio|stdlib|unistd|time|errno|pthread|sys/|fcntl|math|assert|signal)"

echo "$passed passed, $failed failed"
((failed == 0))
