#!/usr/bin/env bash
# A real three-node Kafka (KRaft, each node broker and controller) on loopback, to measure Holdfast beside.
#
#   kafka.sh fetch                     jars from Maven Central, once
#   kafka.sh up [PROPERTY=VALUE ...]   format and start three nodes, e.g. flush.messages is a topic setting, not one of these
#   kafka.sh topic NAME PARTITIONS [--config K=V]
#   kafka.sh bench TOPIC RECORDS SIZE RATE(-1 = flat out) [PRODUCER_PROP ...]
#   kafka.sh read TOPIC RECORDS        consumer throughput
#   kafka.sh failover                  kill -9 the leader under 500 records/s: the largest latency is the pause
#   kafka.sh rss | kafka.sh down
#
# State lives in $PEERS_DIR (default: a folder under the system's temporary folder). Ports 9091-9093 and 19091-19093.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); self=$here/$(basename "$0")
dir=${PEERS_DIR:-${TMPDIR:-/tmp}/holdfast-peers}/kafka
mkdir -p "$dir"; cd "$dir"
servers=127.0.0.1:9091,127.0.0.1:9092,127.0.0.1:9093

tool() { java -Xmx512m -cp "libs/*" -Dlf=cli.log -Dlog4j2.configurationFile=log4j2.xml "$@"; }
# The heap and collector flags are the ones kafka-server-start.sh sets by default.
start() {
  java -Xmx1G -Xms1G -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 \
    -XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true -cp "libs/*" -Dlf="n$1/server.log" \
    -Dlog4j2.configurationFile=log4j2.xml kafka.Kafka "n$1/server.properties" >"n$1/out" 2>&1 &
  echo $! >"n$1/pid"
}

case ${1:-} in
fetch) mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$dir/libs" ;;
up)
  shift
  cat >log4j2.xml <<'X'
<Configuration status="WARN"><Appenders><File name="f" fileName="${sys:lf}"><PatternLayout pattern="[%d] %p %m (%c)%n"/></File></Appenders><Loggers><Root level="INFO"><AppenderRef ref="f"/></Root></Loggers></Configuration>
X
  for i in 1 2 3; do
    mkdir -p "n$i"
    {
      echo process.roles=broker,controller
      echo node.id=$i
      echo controller.quorum.voters=1@127.0.0.1:19091,2@127.0.0.1:19092,3@127.0.0.1:19093
      echo listeners=PLAINTEXT://127.0.0.1:909$i,CONTROLLER://127.0.0.1:1909$i
      echo advertised.listeners=PLAINTEXT://127.0.0.1:909$i
      echo controller.listener.names=CONTROLLER
      echo listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
      echo "log.dirs=$dir/n$i/data"
      echo default.replication.factor=3
      echo min.insync.replicas=2
      echo offsets.topic.replication.factor=3
      echo num.partitions=6
      printf '%s\n' "$@"
    } >"n$i/server.properties"
    [ -f "n$i/data/meta.properties" ] || tool kafka.tools.StorageTool format -t 5L6g3nShT-eMCtK--X86sw -c "n$i/server.properties" | tail -1
  done
  for i in 1 2 3; do start $i; done
  for _ in $(seq 60); do tool org.apache.kafka.tools.TopicCommand --bootstrap-server $servers --list >/dev/null 2>&1 && exit 0; done
  echo "Kafka did not come up: see $dir/n*/server.log" >&2; exit 1 ;;
topic) shift; name=$1; parts=$2; shift 2
  tool org.apache.kafka.tools.TopicCommand --bootstrap-server $servers --create --topic "$name" --partitions "$parts" --replication-factor 3 "$@" ;;
bench) shift; topic=$1; n=$2; size=$3; rate=$4; shift 4
  tool org.apache.kafka.tools.ProducerPerformance --topic "$topic" --num-records "$n" --record-size "$size" --throughput "$rate" \
    --producer-props bootstrap.servers=$servers acks=all "$@" | tail -1 ;;
read) tool org.apache.kafka.tools.ConsumerPerformance --bootstrap-server $servers --topic "$2" --messages "$3" | tail -2 ;;
failover)
  tool org.apache.kafka.tools.TopicCommand --bootstrap-server $servers --create --if-not-exists --topic fo --partitions 1 --replication-factor 3 >/dev/null
  "$self" bench fo 20000 100 500 linger.ms=0 & bench=$!
  sleep 8
  leader=$(tool org.apache.kafka.tools.TopicCommand --bootstrap-server $servers --describe --topic fo | grep -o 'Leader: [0-9]' | grep -o '[0-9]')
  kill -9 "$(cat "n$leader/pid")"; echo "killed the leader, node $leader"
  wait $bench; start "$leader" ;;
rss) for i in 1 2 3; do echo "node $i: $(ps -o rss= -p "$(cat "n$i/pid")") KiB"; done ;;
down) for i in 1 2 3; do kill "$(cat "n$i/pid")" 2>/dev/null || true; done; sleep 5
  for i in 1 2 3; do kill -9 "$(cat "n$i/pid")" 2>/dev/null || true; rm -rf "n$i"; done ;;
*) sed -n '2,12p' "$self"; exit 2 ;;
esac
