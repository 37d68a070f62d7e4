#!/usr/bin/env bash
# Holdfast beside a real Kafka 4.1 on this machine, in one run, as ratios. Kafka runs as shipped (no fsync before its
# acks) and is warmed up first; Holdfast runs as shipped (fsync before each ack). Replication factor 3,
# min.insync.replicas 2, 6 partitions, acks=all, 64-KiB batches, linger 5 ms on both.
#
#   BIN=folder of Holdfast's programs, QUICK=1 for a tenth of the records
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
scale=$((${QUICK:-0} ? 10 : 1))
kafka=$here/kafka.sh
out=$(mktemp -d)
cleanup() { "$kafka" down >/dev/null 2>&1 || true; rm -rf "$out"; }
trap cleanup EXIT
trap 'exit 130' INT TERM

echo "Kafka …" >&2
"$kafka" fetch >/dev/null
"$kafka" up min.insync.replicas=2 >/dev/null
"$kafka" topic b1024 6 >/dev/null
"$kafka" topic b100 6 >/dev/null
batches="batch.size=65536 linger.ms=5"
# shellcheck disable=SC2086 # several words
{
  # Its code is compiled while it runs: a fresh one is four times as slow.
  "$kafka" bench b100 $((4000000 / scale)) 100 -1 $batches >/dev/null
  "$kafka" bench b1024 $((500000 / scale)) 1024 -1 $batches >/dev/null
  "$kafka" bench b1024 $((1000000 / scale)) 1024 -1 $batches >"$out/k1024"
  "$kafka" bench b100 $((5000000 / scale)) 100 -1 $batches >"$out/k100"
  "$kafka" bench b1024 $((30000 / scale)) 1024 1000 linger.ms=0 >"$out/k1000"
}
"$kafka" rss >"$out/krss"
"$kafka" failover >"$out/kfail" 2>&1
"$kafka" down >/dev/null

echo "Holdfast …" >&2
"$here/../bench.sh" >"$out/holdfast"

OUT=$out python3 - <<'P'
import os, re
out = os.environ["OUT"]
read = lambda name: open(f"{out}/{name}").read()
ours = dict(line.split() for line in read("holdfast").splitlines())
num = lambda pattern, name: float(re.search(pattern, read(name)).group(1))
rows = [
    # name, Kafka, Holdfast, larger is better
    ("1 KiB records, flat out, MB/s", num(r"\(([\d.]+) MB/sec", "k1024") * 1.048576, float(ours["produce_1024_mb_s"]), True),
    ("100 B records, flat out, thousand/s", num(r"([\d.]+) records/sec", "k100") / 1e3, float(ours["produce_100_records_s"]) / 1e3, True),
    ("p99 at 1,000 records/s of 1 KiB, ms", num(r"(\d+) ms 99th", "k1000"), float(ours["latency_1000_p99_ms"]), False),
    ("p999 of the same, ms", num(r"(\d+) ms 99\.9th", "k1000"), float(ours["latency_1000_p999_ms"]), False),
    ("pause after kill -9 of a leader, ms", num(r"([\d.]+) ms max", "kfail"), float(ours["failover_median_ms"]), False),
    ("resident memory, loaded, MB a node", max(map(int, re.findall(r"(\d+) KiB", read("krss")))) / 1024, float(ours["loaded_rss_mb"]), False),
]
print("| figure | Kafka 4.1, no fsync | Holdfast, fsync before the ack | Holdfast is better by |")
print("|---|---|---|---|")
for name, kafka, holdfast, larger in rows:
    ratio = holdfast / kafka if larger else kafka / max(holdfast, 1e-9)
    print(f"| {name} | {kafka:,.1f} | {holdfast:,.1f} | {ratio:.2f} x |")
print()
print(read("holdfast"))
P
