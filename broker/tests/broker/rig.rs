//! Brokers of one test, and clients for them. Every wait has a condition and a deadline.

use std::path::PathBuf;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Streaming,
    transport::{Channel, Endpoint},
};

use holdfast_broker::{config, life::start::Broker};
pub(crate) use holdfast_eventually::{soon, until};
use holdfast_proto::{
    batch::{BatchBuilder, Compression, ProducerStamp, RecordRef},
    ids::TimestampMs,
    v1::{
        self, admin_service_client::AdminServiceClient, consumer_service_client::ConsumerServiceClient,
        producer_service_client::ProducerServiceClient,
    },
};

use crate::fake_controller::FakeController;

/// A controller and the folders of its brokers.
pub(crate) struct Rig {
    pub(crate) controller: FakeController,
    pub(crate) folder: TempDir,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self { controller: FakeController::start().await, folder: TempDir::new().unwrap() }
    }

    /// As [`Self::start`], before the metadata version of this build is finalised.
    pub(crate) async fn start_unfinalised() -> Self {
        Self { controller: FakeController::start_unfinalised().await, folder: TempDir::new().unwrap() }
    }

    pub(crate) fn data_dir(&self, id: u32) -> PathBuf {
        self.folder.path().join(format!("broker-{id}"))
    }

    pub(crate) fn config(&self, id: u32) -> config::Config {
        let text = format!(
            "broker_id = {id}\ndata_dir = \"{}\"\nclient_listen = \"127.0.0.1:0\"\npeer_listen = \"127.0.0.1:0\"\n\
             controllers = [\"{}\"]\nheartbeat_interval_ms = 100\npartition_threads = 1\nlog_writer_threads = 4\n\
             disk_reserve_bytes = 0\nshutdown_timeout_ms = 5000\n",
            self.data_dir(id).display(),
            self.controller.address,
        );
        let mut config = config::parse("test.toml", &text, &[]).unwrap();
        // RUST_LOG=info shows what the brokers of a test say.
        config.log_level = std::env::var("RUST_LOG").unwrap_or_else(|_| "off".to_owned());
        holdfast_node::telemetry::start(&config.log_level, config.log_format, &[]);
        config
    }

    /// Starts a broker and waits until it serves.
    pub(crate) async fn broker(&self, id: u32) -> Broker {
        self.broker_with(id, |config| config).await
    }

    /// As [`Rig::broker`], with other settings.
    pub(crate) async fn broker_with(&self, id: u32, change: impl Fn(config::Config) -> config::Config) -> Broker {
        let started = async || Broker::start(change(self.config(id))).await.ok();
        // One that stopped just now may hold its folder for a moment yet: connections end by themselves.
        let broker = until(&format!("broker {id} starts"), started).await;
        let joined = || {
            self.controller
                .image()
                .broker(holdfast_proto::ids::BrokerId(id))
                .is_some_and(holdfast_metadata::BrokerRegistration::is_active)
        };
        until(&format!("broker {id} serves"), async || joined().then_some(())).await;
        broker
    }

    /// Starts brokers 1 to `count`.
    pub(crate) async fn brokers(&self, count: u32) -> Vec<Broker> {
        let mut brokers = Vec::new();
        for id in 1..=count {
            brokers.push(self.broker(id).await);
        }
        brokers
    }
}

/// A batch of these values, without a producer.
pub(crate) fn batch(values: &[&str]) -> Bytes {
    stamped(values, None)
}

/// A batch of these values.
pub(crate) fn stamped(values: &[&str], stamp: Option<ProducerStamp>) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    for (index, value) in values.iter().enumerate() {
        let timestamp = TimestampMs(1_000 + index as i64);
        let record = RecordRef { timestamp, key: None, value: Some(value.as_bytes()), headers: &[] };
        builder.append(&record).unwrap();
    }
    builder.build(stamp).unwrap()
}

/// One client's connection to one broker.
pub(crate) struct Client {
    channel: Channel,
}

impl Client {
    pub(crate) async fn connect(broker: &Broker) -> Self {
        Self::connect_with(broker, |endpoint| endpoint).await
    }

    /// As [`Client::connect`], with other settings of the connection.
    pub(crate) async fn connect_with(broker: &Broker, change: impl FnOnce(Endpoint) -> Endpoint) -> Self {
        let address = format!("http://{}", broker.context().identity.addresses.client);
        Self { channel: change(Channel::from_shared(address).unwrap()).connect().await.unwrap() }
    }

    /// A client over this connection.
    pub(crate) fn over(channel: Channel) -> Self {
        Self { channel }
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) fn producer(&self) -> ProducerServiceClient<Channel> {
        ProducerServiceClient::new(self.channel()).max_encoding_message_size(64 << 20)
    }

    pub(crate) fn consumer(&self) -> ConsumerServiceClient<Channel> {
        ConsumerServiceClient::new(self.channel()).max_decoding_message_size(64 << 20)
    }

    pub(crate) fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel())
    }

    pub(crate) async fn stream(&self) -> ProduceStream {
        self.try_stream().await.unwrap()
    }

    /// As [`Client::stream`]; fails where the channel's connection closes at that moment.
    pub(crate) async fn try_stream(&self) -> Result<ProduceStream, tonic::Status> {
        let (requests, outgoing) = mpsc::channel(1000);
        let answers = self.producer().produce(ReceiverStream::new(outgoing)).await?.into_inner();
        Ok(ProduceStream { requests, answers, acks: v1::Acks::All, next: 0 })
    }

    /// The values from an offset on, as far as consumers may read, waiting for a first one.
    pub(crate) async fn read(&self, topic: &str, partition: u32, offset: u64) -> Result<Vec<String>, tonic::Status> {
        let request = v1::FetchRecordsRequest {
            topic: topic.to_owned(),
            partition,
            fetch_offset: offset,
            max_records: 10_000,
            max_wait_ms: 5_000,
            ..Default::default()
        };
        let answer = soon("a fetch", self.consumer().fetch_records(request)).await?.into_inner();
        let text = |value: Option<Bytes>| String::from_utf8(value.unwrap_or_default().to_vec()).unwrap();
        Ok(answer.records.into_iter().map(|record| text(record.value)).collect())
    }
}

/// A produce stream whose requests are numbered from 1 and time out after 1.5 s.
pub(crate) struct ProduceStream {
    pub(crate) requests: mpsc::Sender<v1::ProduceRequest>,
    pub(crate) answers: Streaming<v1::ProduceResponse>,
    /// When batches are acknowledged: all unless set.
    pub(crate) acks: v1::Acks,
    next: u64,
}

impl ProduceStream {
    /// Sends a batch; tells its correlation id.
    pub(crate) async fn send(&mut self, topic: &str, partition: u32, batch: Bytes) -> u64 {
        self.next += 1;
        let request = v1::ProduceRequest {
            correlation_id: self.next,
            topic: topic.to_owned(),
            partition,
            acks: self.acks.into(),
            timeout_ms: 1_500,
            batch,
            ..Default::default()
        };
        self.requests.send(request).await.unwrap();
        self.next
    }

    pub(crate) async fn answer(&mut self) -> v1::ProduceResponse {
        soon("an answer", self.answers.message()).await.unwrap().expect("the stream stands")
    }

    /// Sends a batch and waits for its answer: the base offset, or the error's name.
    pub(crate) async fn produce(&mut self, topic: &str, partition: u32, batch: Bytes) -> Result<u64, String> {
        let id = self.send(topic, partition, batch).await;
        let answer = self.answer().await;
        assert_eq!(answer.correlation_id, id);
        match answer.error {
            None => Ok(answer.base_offset),
            Some(error) => Err(error.name),
        }
    }
}

/// Produces until it succeeds: leaderships move at first.
pub(crate) async fn produce_until(client: &Client, topic: &str, partition: u32, values: &[&str]) -> u64 {
    let mut stream = client.stream().await;
    until("a produce succeeds", async || stream.produce(topic, partition, batch(values)).await.ok()).await
}
