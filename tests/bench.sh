#!/usr/bin/env bash
# What a cluster of three brokers and three controllers on loopback does: throughput, latency, idle cost, start, fail-over.
# Every ack waits for fsync on the in-sync replicas. Prints one `name value` a line; `make bench` calls it.
#
#   BIN=folder of the programs, QUICK=1 for a tenth of the records, KILLS=number of leaders killed
set -euo pipefail
bin=${BIN:?the folder of the programs}
holdfast=$bin/holdfast
scale=$((${QUICK:-0} ? 10 : 1))
dir=$(mktemp -d)
export HOLDFAST_DEV_DIR=$dir/cluster
cleanup() { "$holdfast" dev down --wipe --yes >/dev/null 2>&1 || true; rm -rf "$dir"; }
trap cleanup EXIT
trap 'exit 130' INT TERM

json() { python3 -c 'import json,sys; v=json.load(sys.stdin)
for k in sys.argv[1].split("."): v=v[k]
print(round(v,3) if isinstance(v,float) else v)' "$1"; }
say() { printf '%-34s %s\n' "$1" "$2"; }
ticks() { for pid in $(pids); do awk '{print $14+$15}' "/proc/$pid/stat"; done | paste -sd+ | bc; }
pids() { "$holdfast" dev status -o json | python3 -c 'import json,sys
for n in json.load(sys.stdin)["nodes"]:
  if n["name"].startswith("broker") and n.get("pid"): print(n["pid"])'; }
rss() { for pid in $(pids); do awk '/VmRSS/ {print $2/1024}' "/proc/$pid/status"; done | sort -n | tail -1; }

"$holdfast" dev up -n 3 --base-port 0 >/dev/null
HOLDFAST_BOOTSTRAP=$("$holdfast" dev status -o json | json bootstrap)
export HOLDFAST_BOOTSTRAP
say "idle_rss_mb" "$(rss)"
before=$(ticks); idle_s=10; timeout $((idle_s + 1)) tail -f /dev/null --pid=$$ -s $idle_s >/dev/null 2>&1 || true
say "idle_cpu_percent_of_a_core" "$(echo "scale=2; ($(ticks)-$before)/($idle_s+1)/3" | bc)"

"$holdfast" topic create b1024 --partitions 6 -r 3 >/dev/null
"$holdfast" topic create b100 --partitions 6 -r 3 >/dev/null
"$holdfast" bench produce --topic b1024 -n $((300000 / scale)) --size 1024 -o json >/dev/null
say "produce_1024_mb_s" "$("$holdfast" bench produce --topic b1024 -n $((1000000 / scale)) --size 1024 -o json | json mb_per_s)"
say "produce_100_records_s" "$("$holdfast" bench produce --topic b100 -n $((5000000 / scale)) --size 100 -o json | json records_per_s)"
say "loaded_rss_mb" "$(rss)"
say "consume_1024_mb_s" "$("$holdfast" bench consume --topic b1024 -o json | json mb_per_s)"
latency=$("$holdfast" bench latency --rate 1000 --size 1024 --duration $((30 / (scale > 1 ? 3 : 1)))s -o json)
for p in p50 p99 p999; do say "latency_1000_${p}_ms" "$(json "latency_ms.$p" <<<"$latency")"; done
latency=$("$holdfast" bench latency --rate 6000 --size 1024 --duration $((30 / (scale > 1 ? 3 : 1)))s -o json)
say "latency_6000_p99_ms" "$(json latency_ms.p99 <<<"$latency")"
"$holdfast" dev down >/dev/null
start=$(date +%s%N)
"$holdfast" dev up -n 3 >/dev/null
HOLDFAST_BOOTSTRAP=$("$holdfast" dev status -o json | json bootstrap)
echo x | "$holdfast" produce b100 >/dev/null 2>&1
say "start_to_first_ack_s" "$(echo "scale=2; ($(date +%s%N)-$start)/1000000000" | bc)"
"$holdfast" dev down --wipe --yes >/dev/null
failover=$("$holdfast" bench failover --own --kills "${KILLS:-$((20 / (scale > 1 ? 4 : 1)))}" -o json)
say "failover_median_ms" "$(json median_pause_ms <<<"$failover")"
say "failover_max_ms" "$(json max_pause_ms <<<"$failover")"
