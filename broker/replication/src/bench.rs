//! One replica on a bench: events in, exact effects out, invariants after every step. Broker 1 of brokers 1, 2 and 3.

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, LeaderEpoch, Millis, Offset, PartitionEpoch, ProducerEpoch, ProducerId, Sequence},
};

use crate::{
    Acks, Assignment, BatchInfo, Effect, Event, FetchOutcome, FetchPosition, FetchReply, FlushPolicy, Frozen,
    LogGeneration, PlacedBatch, ProduceToken, Produced, Replica, ReplicaConfig, ReplicaState, invariant::Monitor,
};

/// Broker epoch of every follower.
pub(crate) const BROKER_EPOCH: BrokerEpoch = BrokerEpoch(40);

pub(crate) struct Bench {
    pub(crate) replica: Replica,
    pub(crate) now: u64,
    monitor: Monitor,
}

pub(crate) fn config() -> ReplicaConfig {
    ReplicaConfig {
        replica_lag_time_max_ms: 1_000,
        max_pending_produces: 3,
        hw_notify_ms: 50,
        fetch_backoff_ms: 8,
        fetch_backoff_max_ms: 100,
        isr_backoff_ms: 100,
        isr_proposal_timeout_ms: 500,
        late_start_max_ms: 5_000,
        ..ReplicaConfig::new(BrokerId(1))
    }
}

/// `leader` leads in `leader_epoch`; min.insync.replicas is 2.
pub(crate) fn assignment(leader: u32, leader_epoch: u32, partition_epoch: u32, isr: &[u32]) -> Assignment {
    Assignment {
        leader: Some(BrokerId(leader)),
        leader_epoch: LeaderEpoch(leader_epoch),
        partition_epoch: PartitionEpoch(partition_epoch),
        replicas: vec![BrokerId(1), BrokerId(2), BrokerId(3)],
        isr: isr.iter().map(|id| BrokerId(*id)).collect(),
        min_insync_replicas: 2,
        flush_policy: FlushPolicy::Ack,
        frozen: Frozen::NotKept,
    }
}

pub(crate) fn batch(record_count: u32) -> BatchInfo {
    BatchInfo {
        record_count,
        size_bytes: 100,
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch(-1),
        base_sequence: Sequence(-1),
    }
}

pub(crate) fn placed(base_offset: u64, leader_epoch: u32, record_count: u32) -> PlacedBatch {
    let (base_offset, leader_epoch) = (Offset(base_offset), LeaderEpoch(leader_epoch));
    PlacedBatch { base_offset, leader_epoch, info: batch(record_count) }
}

/// A position as a fetch tells it; `last_epoch` 0 means an empty log.
pub(crate) fn position(leader_epoch: u32, fetch: u64, flushed: u64, last_epoch: u32, wants: bool) -> FetchPosition {
    FetchPosition {
        leader_epoch: LeaderEpoch(leader_epoch),
        partition_epoch: PartitionEpoch(10),
        fetch_offset: Offset(fetch),
        flushed_offset: Offset(flushed),
        last_fetched_epoch: (last_epoch > 0).then_some(LeaderEpoch(last_epoch)),
        log_start_offset: Some(Offset(0)),
        wants_records: wants,
    }
}

/// The same, told under another state than the one with partition epoch 10.
pub(crate) fn under(partition_epoch: u32, position: FetchPosition) -> FetchPosition {
    FetchPosition { partition_epoch: PartitionEpoch(partition_epoch), ..position }
}

/// The same of a log that begins there.
pub(crate) fn beginning(log_start: u64, position: FetchPosition) -> FetchPosition {
    FetchPosition { log_start_offset: Some(Offset(log_start)), ..position }
}

impl Bench {
    /// A replica whose log holds one batch for each (leader epoch, records), all of it durable.
    pub(crate) fn with_log(batches: &[(u32, u32)], high_watermark: u64) -> Self {
        let mut state = ReplicaState { high_watermark: Offset(high_watermark), ..ReplicaState::default() };
        for (leader_epoch, records) in batches {
            let batch = placed(state.log_end_offset.0, *leader_epoch, *records);
            state.epochs.assign(batch.leader_epoch, batch.base_offset);
            state.producers.replay(&batch);
            state.log_end_offset = state.log_end_offset.plus(u64::from(*records));
        }
        let mut monitor = Monitor::default();
        let replica = Replica::new(config(), state);
        monitor.observe(&replica);
        Self { replica, now: 100, monitor }
    }

    /// A leader in epoch 5 with an empty log, all three in sync.
    pub(crate) fn leading() -> Self {
        let mut bench = Self::with_log(&[], 0);
        bench.step(Event::AssignmentChanged(assignment(1, 5, 10, &[1, 2, 3])));
        bench
    }

    /// A follower of broker 2 in epoch 5.
    pub(crate) fn following(batches: &[(u32, u32)], high_watermark: u64) -> Self {
        let mut bench = Self::with_log(batches, high_watermark);
        bench.step(Event::AssignmentChanged(assignment(2, 5, 10, &[1, 2, 3])));
        bench
    }

    pub(crate) fn step(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.replica.step(Millis(self.now), event, &mut effects);
        self.monitor.observe(&self.replica);
        effects
    }

    pub(crate) fn at(&mut self, now: u64) -> Vec<Effect> {
        self.now = now;
        self.step(Event::Tick)
    }

    pub(crate) fn produce(&mut self, token: u64, acks: Acks, batch: BatchInfo) -> Vec<Effect> {
        let token = ProduceToken(token);
        self.step(Event::Produce { token, acks, leader_epoch: None, batch, timeout_ms: 200 })
    }

    pub(crate) fn fetch(&mut self, from: u32, position: FetchPosition) -> Vec<Effect> {
        self.step(Event::ReplicaFetch { from: BrokerId(from), broker_epoch: BROKER_EPOCH, position })
    }

    pub(crate) fn flushed(&mut self, generation: u64, offset: u64) -> Vec<Effect> {
        self.step(Event::LogFlushed { generation: LogGeneration(generation), offset: Offset(offset) })
    }

    pub(crate) fn answer(&mut self, outcome: FetchOutcome) -> Vec<Effect> {
        self.step(Event::FetchResponse { from: BrokerId(2), leader_epoch: LeaderEpoch(5), outcome })
    }

    pub(crate) fn deadline(&self) -> Option<u64> {
        self.replica.next_deadline().map(|deadline| deadline.0)
    }
}

pub(crate) fn records(batches: &[PlacedBatch], high_watermark: u64, log_start_offset: u64) -> FetchOutcome {
    let (high_watermark, log_start_offset) = (Offset(high_watermark), Offset(log_start_offset));
    FetchOutcome::Records { records: batches.to_vec(), high_watermark, log_start_offset }
}

pub(crate) fn append_produced(token: u64, base_offset: u64) -> Effect {
    Effect::AppendProduced {
        token: ProduceToken(token),
        base_offset: Offset(base_offset),
        leader_epoch: LeaderEpoch(5),
        generation: LogGeneration(0),
    }
}

pub(crate) fn ok(token: u64, base_offset: u64) -> Effect {
    let (base_offset, log_start_offset) = (Offset(base_offset), Offset(0));
    let result = Ok(Produced { base_offset, log_start_offset, leader_epoch: LeaderEpoch(5) });
    Effect::CompleteProduce { token: ProduceToken(token), result }
}

pub(crate) fn failed(token: u64, code: ErrorCode) -> Effect {
    Effect::CompleteProduce { token: ProduceToken(token), result: Err(code) }
}

pub(crate) fn high_watermark(offset: u64) -> Effect {
    Effect::HighWatermarkAdvanced { high_watermark: Offset(offset) }
}

pub(crate) fn reply(to: u32, leader_epoch: u32, reply: FetchReply) -> Effect {
    Effect::ReplyFetch { to: BrokerId(to), leader_epoch: LeaderEpoch(leader_epoch), reply }
}

pub(crate) fn reply_records(to: u32, from_offset: u64, high_watermark: u64) -> Effect {
    let (from_offset, high_watermark) = (Offset(from_offset), Offset(high_watermark));
    reply(to, 5, FetchReply::Records { records: from_offset, high_watermark, log_start_offset: Offset(0) })
}

pub(crate) fn send_fetch(position: FetchPosition) -> Effect {
    Effect::SendFetch { to: BrokerId(2), position }
}

pub(crate) fn propose(partition_epoch: u32, isr: &[(u32, bool)]) -> Effect {
    let member = |(id, heard): &(u32, bool)| (BrokerId(*id), heard.then_some(BROKER_EPOCH));
    Effect::ProposeIsr {
        leader_epoch: LeaderEpoch(5),
        partition_epoch: PartitionEpoch(partition_epoch),
        new_isr: isr.iter().map(member).collect(),
        high_watermark: None,
        high_watermark_epoch: None,
    }
}
