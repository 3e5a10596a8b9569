#!/bin/bash
# test_foreign_client.sh: clients of MessagePack-RPC that were not written here, against a server of their own: the session of Debian's
# python3-pynvim, and plain python3-msgpack. What they ask and expect stands in test_foreign_client.py.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=${HOLDFAST_BIN:-build}
work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-foreign.XXXXXX")
server=
finish() {
	[[ -n $server ]] && kill -KILL "$server" 2>/dev/null && wait "$server" 2>/dev/null
	rm -rf "$work"
}
trap finish EXIT

python=/usr/bin/python3 # Debian's, whatever else is in the path
if ! "$python" -c 'import pynvim, msgpack' 2>/dev/null; then
	echo "FAIL foreign_clients: python3-pynvim and python3-msgpack are missing; install them with: .ci/packages --tests"
	echo "0 passed, 1 failed"
	exit 1
fi
"$bin/holdfastd" --data "$work/data" --listen 127.0.0.1:0 --gate off --http off --port-file "$work/ports" >"$work/log" 2>&1 &
server=$!
for _ in {1..3000}; do
	[[ -e $work/ports ]] && break
	kill -0 "$server" 2>/dev/null || break
	sleep 0.02
done
if [[ ! -e $work/ports ]]; then
	echo "FAIL foreign_clients: the server does not start: $(tail -1 "$work/log")"
	echo "0 passed, 1 failed"
	exit 1
fi
"$python" tests/test_foreign_client.py "$(sed -n 's/^rpc=//p' "$work/ports")"
