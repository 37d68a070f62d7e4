//! The state that the fake brokers share, and the faults that a test scripts.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;

use holdfast_client::{Client, ClientConfig, ErrorCode};
use holdfast_proto::v1::{
    admin_service_server::AdminServiceServer, consumer_service_server::ConsumerServiceServer,
    producer_service_server::ProducerServiceServer,
};

use super::{log::FakePartition, services::Node};

/// What happens to one produce request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProduceFault {
    /// Nothing: it is served.
    Serve,
    /// It is appended, but never answered.
    AppendWithoutAnswer,
    /// It is appended, and the stream breaks before the answer.
    AppendAndBreak,
    /// It is lost, and the stream breaks.
    LoseAndBreak,
    /// It is lost, and nothing is answered.
    Lose,
    /// It is refused, not appended.
    Refuse(ErrorCode),
    /// It is appended, but answered with this.
    AppendButAnswer(ErrorCode),
}

/// What happens to one answer to a fetch that has records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FetchFault {
    /// Nothing: it is sent as it is.
    Serve,
    /// Retention deletes the first batch before it is read.
    DeleteFirstBatch,
    /// The first batch is left out.
    SkipFirstBatch,
    /// A byte of the first batch's records is flipped.
    FlipByte,
    /// The stream breaks instead of the answer.
    Break,
    /// An error with this code is sent instead.
    Refuse(ErrorCode),
}

/// What all brokers share.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) index: u64,
    pub(crate) brokers: BTreeMap<u32, String>,
    pub(crate) topics: BTreeMap<String, FakeTopic>,
    pub(crate) produce_faults: VecDeque<ProduceFault>,
    pub(crate) fetch_faults: VecDeque<FetchFault>,
    pub(crate) next_producer_id: i64,
    /// Epochs of the producer ids that were given.
    pub(crate) epochs: BTreeMap<i64, u32>,
    pub(crate) metadata_calls: u64,
    pub(crate) init_calls: u64,
    /// Records in each produce request that came, in order.
    pub(crate) produced_batches: Vec<u32>,
    /// False: not-leader answers carry no hint.
    pub(crate) hints: bool,
    /// Most partitions seen in one fetch request.
    pub(crate) fetch_requests: u64,
    /// `max.message.bytes` of all topics; `None`: no limit, and no broker tells one.
    pub(crate) max_message_bytes: Option<usize>,
    /// True: brokers do not tell the limit, as if they were silent.
    pub(crate) hides_limit: bool,
}

/// A topic of the fake cluster.
#[derive(Debug)]
pub(crate) struct FakeTopic {
    pub(crate) id: [u8; 16],
    pub(crate) partitions: Vec<FakePartition>,
}

/// The cluster: its brokers end when it is dropped.
#[derive(Debug)]
pub(crate) struct FakeCluster {
    shared: Arc<Inner>,
    ended: CancellationToken,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(super) state: Mutex<State>,
    /// Closed: produce requests are read but not served.
    pub(super) produce_gate: watch::Sender<bool>,
    pub(super) appended: Notify,
    /// Counts changes of the state that tests wait for.
    pub(super) changed: watch::Sender<u64>,
    pub(super) killed: Mutex<BTreeMap<u32, CancellationToken>>,
    /// Who answers at each place.
    ids: Mutex<Vec<Arc<AtomicU32>>>,
}

impl FakeCluster {
    /// So many brokers, numbered from 1.
    pub(crate) async fn start(broker_count: u32) -> Self {
        let shared = Arc::new(Inner {
            state: Mutex::new(State { index: 1, next_producer_id: 1_000, hints: true, ..State::default() }),
            produce_gate: watch::Sender::new(true),
            appended: Notify::new(),
            changed: watch::Sender::new(0),
            killed: Mutex::default(),
            ids: Mutex::default(),
        });
        let cluster = Self { shared, ended: CancellationToken::new() };
        for id in 1..=broker_count {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            cluster.state().brokers.insert(id, address);
            let killed = cluster.ended.child_token();
            cluster.shared.killed.lock().insert(id, killed.clone());
            let id = Arc::new(AtomicU32::new(id));
            cluster.shared.ids.lock().push(Arc::clone(&id));
            let node = Node { id, shared: Arc::clone(&cluster.shared), killed };
            let limit = 64 << 20;
            let server = tonic::transport::Server::builder()
                .add_service(
                    ProducerServiceServer::new(node.clone())
                        .max_decoding_message_size(limit)
                        .max_encoding_message_size(limit),
                )
                .add_service(
                    ConsumerServiceServer::new(node.clone())
                        .max_decoding_message_size(limit)
                        .max_encoding_message_size(limit),
                )
                .add_service(AdminServiceServer::new(node));
            let ended = cluster.ended.clone();
            tokio::spawn(async move {
                let serving = server.serve_with_incoming(TcpListenerStream::new(listener));
                ended.run_until_cancelled(serving).await
            });
        }
        cluster
    }

    /// Adds a topic whose partitions are led by the brokers in turn.
    pub(crate) fn add_topic(&self, name: &str, partition_count: u32) {
        let mut state = self.state();
        let leaders: Vec<u32> = state.brokers.keys().copied().collect();
        let partitions = (0..partition_count as usize)
            .map(|index| FakePartition { leader: Some(leaders[index % leaders.len()]), ..FakePartition::default() })
            .collect();
        state.index += 1;
        let id = [state.index as u8; 16];
        state.topics.insert(name.to_owned(), FakeTopic { id, partitions });
    }

    /// The state, to look at and to change.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock()
    }

    /// The leader of the partition changes, with a new epoch. Fetches that wait see it.
    pub(crate) fn elect(&self, topic: &str, partition: usize, leader: Option<u32>) {
        {
            let mut state = self.state();
            state.index += 1;
            let partition = &mut state.topics.get_mut(topic).unwrap().partitions[partition];
            partition.leader = leader;
            partition.leader_epoch += 1;
        }
        self.shared.changed.send_modify(|count| *count += 1);
        self.shared.appended.notify_waiters();
    }

    /// Fetches that wait look again.
    pub(crate) fn look_again(&self) {
        self.shared.appended.notify_waiters();
    }

    /// Breaks all streams of the broker, and refuses its calls from now on.
    pub(crate) fn kill(&self, broker: u32) {
        self.shared.killed.lock()[&broker].cancel();
    }

    /// The first two brokers come back with each other's addresses. Their streams stand.
    pub(crate) fn swap_addresses(&self) {
        self.shared.change(|state| {
            state.index += 1;
            let (first, second) = (state.brokers[&1].clone(), state.brokers[&2].clone());
            state.brokers.extend([(1, second), (2, first)]);
            let ids = self.shared.ids.lock();
            ids[0].store(2, Ordering::SeqCst);
            ids[1].store(1, Ordering::SeqCst);
        });
    }

    /// What the next produce requests meet.
    pub(crate) fn script(&self, faults: impl IntoIterator<Item = ProduceFault>) {
        self.state().produce_faults.extend(faults);
    }

    /// What the next answers to fetches meet.
    pub(crate) fn script_fetch(&self, faults: impl IntoIterator<Item = FetchFault>) {
        self.state().fetch_faults.extend(faults);
    }

    /// Holds produce requests up, or lets them on.
    pub(crate) fn set_gate(&self, open: bool) {
        self.shared.produce_gate.send_replace(open);
    }

    /// A client of this cluster, with short pauses.
    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.config()).await.unwrap()
    }

    /// Settings of a client of this cluster, with short pauses.
    pub(crate) fn config(&self) -> ClientConfig {
        ClientConfig {
            retry_backoff: Duration::from_millis(5),
            retry_backoff_max: Duration::from_millis(50),
            metadata_min_interval: Duration::from_millis(10),
            ..ClientConfig::new(self.state().brokers.values().cloned())
        }
    }

    /// Values of all records of the partition, in the order of the log.
    pub(crate) fn values(&self, topic: &str, partition: usize) -> Vec<String> {
        self.state().topics[topic].partitions[partition].values()
    }

    /// Waits until the condition holds.
    pub(crate) async fn wait_until(&self, what: &str, mut condition: impl FnMut(&State) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        let waiting = async {
            while !condition(&self.state()) {
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap_or_else(|_| panic!("never came: {what}"));
    }
}

impl Inner {
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.state.lock());
        self.changed.send_modify(|count| *count += 1);
        result
    }
}

impl Drop for FakeCluster {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}
