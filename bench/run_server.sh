#!/bin/bash
# run_server.sh BUILD: `make run`. A server on ./data with the default ports, in the foreground, and what to try beside it.
set -euo pipefail
build=$1
mkdir -p data
cat <<TRY
starting a server on ./data; stop it with Ctrl-C (it writes its image and keeps everything)

try, in another terminal:
  printf 'kind,sku,location,qty\nreceipt,APPLE,ST-0001,12\n' | $build/holdfast post - --source demo --number-from 1
  $build/holdfast ats APPLE ST-0001
  $build/holdfast reserve APPLE ST-0001 2 --id order-1 --ttl 10m
  $build/holdfast show order-1
  $build/holdfast commit order-1
  $build/holdfast stock APPLE ST-0001
  $build/holdfast status
  $build/holdfast --help

TRY
exec "$build/holdfastd" --data data
