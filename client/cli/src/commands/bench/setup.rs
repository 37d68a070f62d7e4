//! What the benches share: a topic of their own, a producer, and records to send.

use std::{
    convert::Infallible,
    time::{Duration, SystemTime},
};

use clap::Args;
use tokio::{sync::mpsc, time::timeout};

use holdfast_client::{
    Client,
    admin::{CreatedTopic, NewTopic},
    metadata::TopicView,
    offsets::{OffsetQuery, OffsetSpec},
    producer::{Acks, Producer, ProducerBuilder},
};
use holdfast_local::Setting;
use holdfast_proto::{batch::Compression, error::ErrorCode, ids::PartitionIndex};

use crate::{
    delivery::{AcksFlag, parse_compression},
    exit::{Code, Failure, Result},
    output::note,
    signals::Signals,
    units::{Size, parse_pause, parse_value_size, plain_value},
};

/// How long the end waits for a topic that may be there.
const REMOVAL: Duration = Duration::from_secs(5);

/// The topic of a bench.
#[derive(Clone, Debug, Args)]
pub(super) struct TopicFlags {
    /// A topic that exists, instead of one of its own.
    #[arg(short, long, value_name = "TOPIC")]
    pub(super) topic: Option<String>,
    /// Partitions of the bench's own topic.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) partitions: u32,
    /// Replicas of the bench's own topic [default: the cluster's].
    #[arg(short, long, alias = "replicas", value_name = "N")]
    pub(super) replication_factor: Option<u32>,
    /// A setting of the bench's own topic.
    #[arg(short, long = "config", value_name = "KEY=VALUE")]
    pub(super) configs: Vec<Setting>,
    /// Keep the bench's own topic.
    #[arg(long)]
    pub(super) keep: bool,
}

/// How a bench produces.
#[derive(Clone, Debug, Args)]
pub(super) struct ProducerFlags {
    /// Size of a record's value, as 100 (bytes) or 64KiB; above 1 MB also -c max.message.bytes=16MiB.
    #[arg(long, value_name = "SIZE", default_value = "1KiB", value_parser = parse_value_size)]
    pub(super) size: Size,
    /// When a record counts as delivered: none, leader, all.
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub(super) acks: AcksFlag,
    /// Compression: none, gzip, snappy, lz4, zstd. The values are random, so it finds little.
    #[arg(short = 'z', long, value_name = "CODEC", default_value = "none", value_parser = parse_compression)]
    pub(super) compression: Compression,
    /// Size at which a batch is closed.
    #[arg(long, value_name = "SIZE", default_value = "64KiB")]
    pub(super) batch_size: Size,
    /// Longest time that a record waits for others.
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = parse_pause)]
    pub(super) linger: Duration,
    /// Memory of the producer for records that are not yet acknowledged.
    #[arg(long, value_name = "SIZE", default_value = "32MiB")]
    pub(super) buffer_memory: Size,
}

impl ProducerFlags {
    /// A producer with these flags; what no flag names stays at the client's default.
    pub(super) fn builder(&self, client: Client) -> ProducerBuilder {
        Producer::builder(client)
            .acks(Acks::from(self.acks))
            .compression(self.compression)
            .batch_size_bytes(self.batch_size.0 as usize)
            .linger(self.linger)
            .buffer_memory_bytes(self.buffer_memory.0 as usize)
    }
}

/// A topic that the bench made, to be deleted afterwards, or one that was there.
#[derive(Debug)]
pub(super) struct BenchTopic {
    pub(super) name: String,
    pub(super) partition_count: u32,
    /// Fewest replicas of any of its partitions.
    pub(super) replica_count: usize,
    /// The bench's own, to be deleted.
    delete: Option<TopicView>,
    user: User,
    /// Ends once no task uses the topic.
    users: mpsc::Receiver<Infallible>,
}

/// Held by a task that uses the topic: it is not cleaned up before the task has ended.
#[derive(Clone, Debug)]
pub(super) struct User(#[expect(dead_code, reason = "that it is there tells all")] mpsc::Sender<Infallible>);

impl BenchTopic {
    /// Makes the topic, or takes the one that is named, for as long as the bench runs. However that ends, by an error or a
    /// signal too, its own topic goes; only where records are missing it stays, to be looked at.
    pub(super) async fn with(
        client: &Client,
        flags: &TopicFlags,
        kind: &str,
        bench: impl AsyncFnOnce(&Self) -> Result,
    ) -> Result {
        let mut signals = Signals::listen()?;
        let topic = Self::prepare(client, flags, kind, &mut signals).await?;
        let result = signals.or(bench(&topic)).await;
        if result.as_ref().is_err_and(|failure| failure.code == Code::Loss) {
            return result;
        }
        let name = topic.name.clone();
        tokio::select! {
            () = topic.clean_up(client) => {}
            _ = signals.wait() => note(format!("interrupted again; the bench's topic {name} is left behind")),
        }
        result
    }

    async fn prepare(client: &Client, flags: &TopicFlags, kind: &str, signals: &mut Signals) -> Result<Self> {
        let admin = client.admin();
        if let Some(name) = &flags.topic {
            return signals.or(async { Ok(Self::of(&admin.describe_topic(name).await?, false)) }).await;
        }
        let millis = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let name = format!("bench-{kind}-{millis}");
        let mut topic =
            NewTopic::new(&name).partitions(flags.partitions).replication_factor(flags.replication_factor.unwrap_or(0));
        for Setting { key, value } in &flags.configs {
            topic = topic.config(key, plain_value(key, value.clone()));
        }
        match signals.or(async { Ok(admin.create_topic(topic).await?) }).await {
            Ok(CreatedTopic { topic: Some(topic), .. }) => Ok(Self::of(&topic, !flags.keep)),
            Ok(CreatedTopic { topic: None, .. }) => Err(Failure::error("the cluster does not say what it created")),
            Err(failure) => {
                // Anything but a refusal may have happened all the same.
                if failure.code != Code::Error {
                    remove_if_there(client, &name).await;
                }
                Err(failure)
            }
        }
    }

    fn of(topic: &TopicView, delete: bool) -> Self {
        let replica_count = topic.partitions.iter().map(|partition| partition.replicas.len()).min().unwrap_or(0);
        let partition_count = topic.partitions.len() as u32;
        let (user, users) = mpsc::channel(1);
        let (name, delete, user) = (topic.name.to_string(), delete.then(|| topic.clone()), User(user));
        Self { name, partition_count, replica_count, delete, user, users }
    }

    /// For a task that may outlive the bench by a moment, as one that is aborted does.
    pub(super) fn user(&self) -> User {
        self.user.clone()
    }

    /// Fails if the topic holds records: an audit would take them for phantoms.
    pub(super) async fn check_empty(&self, client: &Client) -> Result {
        let query = |partition| OffsetQuery {
            topic: self.name.clone(),
            partition: PartitionIndex(partition),
            spec: OffsetSpec::Latest,
        };
        let queries: Vec<_> = (0..self.partition_count).map(query).collect();
        let ends = client.admin().list_offsets(&queries).await?;
        if ends.iter().any(|end| end.offset.unwrap_or_default().0 > 0) {
            let message = format!("{} holds records already; name an empty topic, or none", self.name);
            return Err(Failure::usage(message));
        }
        Ok(())
    }

    /// Waits until nobody uses the topic, and deletes it if it is the bench's own.
    async fn clean_up(self, client: &Client) {
        let Self { name, delete, user, mut users, .. } = self;
        drop(user);
        let _none = users.recv().await;
        let Some(topic) = &delete else { return };
        if let Err(error) = client.admin().delete_this_topic(topic).await {
            note(left_behind(&name, &error));
        }
    }
}

fn left_behind(name: &str, error: &holdfast_client::Error) -> String {
    format!("the bench's topic {name} is left behind: {error}\nremove it with `holdfast topic delete {name}`")
}

/// Deletes a topic whose creation was not seen to its end.
async fn remove_if_there(client: &Client, name: &str) {
    match timeout(REMOVAL, client.admin().delete_topic(name)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {}
        Ok(Err(error)) => note(left_behind(name, &error)),
        Err(_) => note(format!("the bench's topic {name} may be left behind: nobody answers")),
    }
}

/// Fails if records were not delivered: in doubt before refused.
pub(super) fn check_delivered(not_appended: u64, in_doubt: u64, first: Option<String>) -> Result {
    let because = first.map_or_else(String::new, |first| format!("; the first: {first}"));
    if in_doubt > 0 {
        let message = format!("{in_doubt} records are in doubt, {not_appended} were refused{because}");
        return Err(Failure::new(Code::InDoubt, message));
    }
    if not_appended > 0 {
        return Err(Failure::error(format!("{not_appended} records were refused{because}")));
    }
    Ok(())
}
