//! What a broker has to bear: readers that ask for more and more and never read an answer, and connections that do
//! nothing but answer pings.

use std::net::{IpAddr, Ipv4Addr};

use tokio_stream::StreamExt as _;
use tonic::{Streaming, transport::Channel};

use holdfast_eventually::soon;
use holdfast_local::{NodeStatus, ProcessCluster, Role};
use holdfast_net::{Connector, Windows};
use holdfast_proto::v1::{FetchPartition, FetchRequest, FetchResponse, consumer_service_client::ConsumerServiceClient};

/// Requests that a reader has out, as clients have.
const REQUESTS: u64 = 2;
/// And every so many-th, which asks for more than a broker keeps of requests: that bounds itself.
const GREEDY: (usize, u64) = (20, 64);
/// Bytes that each request asks for: the most that a broker gives.
const REQUEST_BYTES: u32 = 8 << 20;
/// Bytes that a reader takes without being read: the least that HTTP/2 has.
const WINDOW_BYTES: u32 = 65_535;
/// Connections from one source address: below the quarter of a broker's that one may have.
const PER_SOURCE: usize = 500;

/// What weighs on the brokers as long as this is there.
pub struct Burden {
    readers: Vec<Reader>,
    idle: Vec<Channel>,
}

/// One reader that does not read: the answers of its stream stay where they are.
struct Reader {
    answers: Streaming<FetchResponse>,
    // A channel of its own for each, so that each fills a connection.
    _channel: Channel,
}

/// What became of readers that did not read, once they do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lifted {
    /// They find the answer that has waited for them.
    pub answered: usize,
    /// The broker has closed their connection, to have the memory for others.
    pub given_up: usize,
}

impl Burden {
    /// Puts so many stopped readers of `topic` and so many idle connections on each broker.
    pub async fn lay(cluster: &mut ProcessCluster, topic: &str, partitions: u32, readers: usize, idle: usize) -> Self {
        let mut burden = Self { readers: Vec::new(), idle: Vec::new() };
        for NodeStatus { address, .. } in brokers(cluster) {
            for number in 0..readers {
                let requests = if number % GREEDY.0 == 0 { GREEDY.1 } else { REQUESTS };
                burden.readers.push(Reader::start(connect(&address, number).await, topic, partitions, requests).await);
            }
            for number in 0..idle {
                burden.idle.push(connect(&address, readers + number).await);
            }
        }
        burden
    }

    /// Takes the burden off: every reader reads once.
    pub async fn lift(self) -> Lifted {
        let mut lifted = Lifted::default();
        drop(self.idle);
        for mut reader in self.readers {
            match soon("an answer, or the end of the connection", reader.answers.message()).await {
                Ok(Some(_)) => lifted.answered += 1,
                Ok(None) | Err(_) => lifted.given_up += 1,
            }
        }
        lifted
    }
}

impl Reader {
    async fn start(channel: Channel, topic: &str, partitions: u32, requests: u64) -> Self {
        let wanted: Vec<_> = (0..partitions)
            .map(|partition| FetchPartition { topic: topic.to_owned(), partition, ..FetchPartition::default() })
            .collect();
        let requests = (0..requests).map(move |correlation_id| FetchRequest {
            correlation_id,
            partitions: wanted.clone(),
            max_wait_ms: 1_000,
            max_bytes: REQUEST_BYTES,
            ..FetchRequest::default()
        });
        let requests = tokio_stream::iter(requests).chain(tokio_stream::pending());
        let mut client =
            ConsumerServiceClient::new(channel.clone()).max_decoding_message_size(2 * REQUEST_BYTES as usize);
        let answers = soon("the stream", client.fetch(requests)).await.expect("the broker takes it");
        Self { answers: answers.into_inner(), _channel: channel }
    }
}

/// The most memory that each broker held since it started, bytes.
pub fn peaks_bytes(cluster: &mut ProcessCluster) -> Vec<u64> {
    brokers(cluster).iter().map(|broker| peak_bytes(broker.pid.expect("the broker runs"))).collect()
}

fn peak_bytes(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the broker runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells the peak");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
    kib * 1024
}

fn brokers(cluster: &mut ProcessCluster) -> Vec<NodeStatus> {
    cluster.status().into_iter().filter(|node| node.name.role == Role::Broker).collect()
}

/// A connection of its own, from one of the loopback addresses.
async fn connect(address: &str, number: usize) -> Channel {
    let windows = Windows { stream_bytes: WINDOW_BYTES, connection_bytes: WINDOW_BYTES };
    let connector = Connector { windows: Some(windows), ..Connector::default() };
    let source = Ipv4Addr::new(127, 0, 1, 1 + u8::try_from(number / PER_SOURCE).expect("few sources"));
    let endpoint = connector.endpoint(address).expect("an address").local_address(Some(IpAddr::V4(source)));
    soon("a connection", endpoint.connect()).await.expect("the broker takes it")
}
