//! How fast one task can produce: the encode path alone, and the whole client against a broker that answers at once.
//!
//! `cargo run --release -p holdfast-client --example produce_rate`
//!
//! The client runs on one thread, so that its processor time is all in one place; the broker, which only parses what
//! comes and answers, runs on another.

use std::{
    fs,
    pin::Pin,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use holdfast_client::{Client, ClientConfig, Compression, Producer, Record};
use holdfast_proto::{
    error::ErrorCode,
    status,
    v1::{self, admin_service_server, producer_service_server},
};

const PARTITIONS: u32 = 6;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::Builder::new().name("broker".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(runtime) = runtime {
            runtime.block_on(serve(&sender));
        }
    })?;
    let address: String = receiver.recv()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("record    path      compression  keys   records/s      MB/s   client s per million   cores");
    for (value_bytes, count) in [(100, 4_000_000), (1_024, 1_000_000)] {
        runtime.block_on(encode_only(&address, value_bytes))?;
        for compression in [Compression::None, Compression::Lz4] {
            runtime.block_on(whole(&address, value_bytes, count, compression, false))?;
        }
        runtime.block_on(whole(&address, value_bytes, count, Compression::None, true))?;
    }
    Ok(())
}

/// Fills the buffer as fast as it goes, while nothing is sent.
async fn encode_only(address: &str, value_bytes: usize) -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::connect(ClientConfig::new([address])).await?;
    let producer = Producer::builder(client).buffer_memory_bytes(256 << 20).build().await?;
    let topic = producer.topic("t").await?;
    let value = vec![b'x'; value_bytes];
    let (start, cpu) = (Instant::now(), cpu_time());
    let mut count = 0_u64;
    // Nothing else runs on this thread until the loop ends.
    while let Ok(future) = producer.try_enqueue(Record::new(&topic).value(&value)) {
        drop(future);
        count += 1;
    }
    report(value_bytes, "encode", Compression::None, false, count, start.elapsed(), cpu_time().saturating_sub(cpu));
    producer.close(Duration::from_secs(30)).await;
    Ok(())
}

/// Produces and waits for every answer.
async fn whole(
    address: &str,
    value_bytes: usize,
    count: u64,
    compression: Compression,
    keys: bool,
) -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::connect(ClientConfig::new([address])).await?;
    let producer = Producer::builder(client).compression(compression).build().await?;
    let topic = producer.topic("t").await?;
    let value: Vec<u8> = (0..value_bytes).map(|index| (index * index % 251) as u8).collect();
    let (start, cpu) = (Instant::now(), cpu_time());
    for number in 0..count {
        let key = number.to_le_bytes();
        let record = Record::new(&topic).value(&value);
        producer.post(if keys { record.key(&key) } else { record }).await?;
    }
    let report_counts = producer.close(Duration::from_mins(1)).await;
    report(value_bytes, "whole", compression, keys, count, start.elapsed(), cpu_time().saturating_sub(cpu));
    assert_eq!(report_counts.delivered, count, "{report_counts:?}");
    Ok(())
}

fn report(
    value_bytes: usize,
    path: &str,
    compression: Compression,
    keys: bool,
    count: u64,
    took: Duration,
    cpu: Duration,
) {
    let per_second = count as f64 / took.as_secs_f64();
    println!(
        "{value_bytes:>5} B   {path:<8}  {compression:<11}  {keys:<5} {per_second:>10.0}  {:>8.1}   {:>20.3}   {:>5.2}",
        per_second * value_bytes as f64 / 1e6,
        cpu.as_secs_f64() * 1e6 / count as f64,
        cpu.as_secs_f64() / took.as_secs_f64(),
    );
}

/// Processor time of this thread.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

async fn serve(sender: &std::sync::mpsc::Sender<String>) {
    let Ok(listener) = tokio::net::TcpListener::bind("127.0.0.1:0").await else { return };
    let Ok(address) = listener.local_addr().map(|address| address.to_string()) else { return };
    let sink = Sink { address: address.clone() };
    let (window, limit) = (16 << 20, 64 << 20);
    let producer = producer_service_server::ProducerServiceServer::new(sink.clone()).max_decoding_message_size(limit);
    let server = tonic::transport::Server::builder()
        .initial_stream_window_size(window)
        .initial_connection_window_size(window)
        .add_service(producer)
        .add_service(admin_service_server::AdminServiceServer::new(sink));
    if sender.send(address).is_ok() {
        let served = server.serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)).await;
        drop(served);
    }
}

/// A broker that keeps nothing.
#[derive(Clone)]
struct Sink {
    address: String,
}

fn not_here<T>() -> Result<Response<T>, Status> {
    Err(status::status(ErrorCode::InvalidRequest, "this broker only takes batches"))
}

#[tonic::async_trait]
impl producer_service_server::ProducerService for Sink {
    type ProduceStream = Pin<Box<dyn Stream<Item = Result<v1::ProduceResponse, Status>> + Send>>;

    async fn produce(
        &self,
        request: Request<Streaming<v1::ProduceRequest>>,
    ) -> Result<Response<Self::ProduceStream>, Status> {
        let answers = request.into_inner().map(|request| {
            request.map(|request| v1::ProduceResponse {
                correlation_id: request.correlation_id,
                ..v1::ProduceResponse::default()
            })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn produce_records(
        &self,
        _: Request<v1::ProduceRecordsRequest>,
    ) -> Result<Response<v1::ProduceRecordsResponse>, Status> {
        not_here()
    }

    async fn init_producer_id(
        &self,
        _: Request<v1::InitProducerIdRequest>,
    ) -> Result<Response<v1::InitProducerIdResponse>, Status> {
        Ok(Response::new(v1::InitProducerIdResponse { producer_id: 1, producer_epoch: 0 }))
    }
}

#[tonic::async_trait]
impl admin_service_server::AdminService for Sink {
    async fn get_metadata(
        &self,
        request: Request<v1::GetMetadataRequest>,
    ) -> Result<Response<v1::GetMetadataResponse>, Status> {
        let partition = |partition| v1::PartitionInfo { partition, leader: Some(1), ..Default::default() };
        let topics = request.into_inner().topics.into_iter().map(|name| v1::TopicInfo {
            name,
            topic_id: Bytes::from_static(&[1; 16]),
            partitions: (0..PARTITIONS).map(partition).collect(),
        });
        Ok(Response::new(v1::GetMetadataResponse {
            cluster_id: Bytes::from_static(&[1; 16]),
            index: 1,
            brokers: vec![v1::BrokerInfo { broker_id: 1, client_address: self.address.clone(), ..Default::default() }],
            topics: topics.collect(),
            ..Default::default()
        }))
    }

    async fn create_topic(
        &self,
        _: Request<v1::CreateTopicRequest>,
    ) -> Result<Response<v1::CreateTopicResponse>, Status> {
        not_here()
    }

    async fn delete_topic(
        &self,
        _: Request<v1::DeleteTopicRequest>,
    ) -> Result<Response<v1::DeleteTopicResponse>, Status> {
        not_here()
    }

    async fn alter_topic(&self, _: Request<v1::AlterTopicRequest>) -> Result<Response<v1::AlterTopicResponse>, Status> {
        not_here()
    }

    async fn describe_topic_config(
        &self,
        _: Request<v1::DescribeTopicConfigRequest>,
    ) -> Result<Response<v1::DescribeTopicConfigResponse>, Status> {
        not_here()
    }

    async fn describe_cluster(
        &self,
        _: Request<v1::DescribeClusterRequest>,
    ) -> Result<Response<v1::DescribeClusterResponse>, Status> {
        not_here()
    }

    async fn plan_moves(&self, _: Request<v1::PlanMovesRequest>) -> Result<Response<v1::PlanMovesResponse>, Status> {
        not_here()
    }

    async fn alter_replicas(
        &self,
        _: Request<v1::AlterReplicasRequest>,
    ) -> Result<Response<v1::AlterReplicasResponse>, Status> {
        not_here()
    }

    async fn set_broker_drain(
        &self,
        _: Request<v1::SetBrokerDrainRequest>,
    ) -> Result<Response<v1::SetBrokerDrainResponse>, Status> {
        not_here()
    }

    async fn finalize_version(
        &self,
        _: Request<v1::FinalizeVersionRequest>,
    ) -> Result<Response<v1::FinalizeVersionResponse>, Status> {
        not_here()
    }

    async fn lose_disk(&self, _: Request<v1::LoseDiskRequest>) -> Result<Response<v1::LoseDiskResponse>, Status> {
        not_here()
    }

    async fn remove_broker(
        &self,
        _: Request<v1::RemoveBrokerRequest>,
    ) -> Result<Response<v1::RemoveBrokerResponse>, Status> {
        not_here()
    }

    async fn describe_quorum(
        &self,
        _: Request<v1::DescribeQuorumRequest>,
    ) -> Result<Response<v1::DescribeQuorumResponse>, Status> {
        not_here()
    }

    async fn remove_controller(
        &self,
        _: Request<v1::RemoveControllerRequest>,
    ) -> Result<Response<v1::RemoveControllerResponse>, Status> {
        not_here()
    }

    async fn recover_partition(
        &self,
        _: Request<v1::RecoverPartitionRequest>,
    ) -> Result<Response<v1::RecoverPartitionResponse>, Status> {
        not_here()
    }
}
