//! `holdfast topic`: create, list, describe, change, delete.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use holdfast_checker::text::{counted, render_table};
use holdfast_client::{
    Client, Error,
    admin::{NewTopic, PartitionRecovery, TopicChange},
    metadata::{PartitionView, TopicView},
    offsets::{OffsetQuery, OffsetSpec},
};
use holdfast_local::Setting;
use holdfast_proto::v1::{ConfigEntry, DescribeClusterResponse};

use crate::{
    connect::Connect,
    exit::{Failure, Result},
    given_up,
    output::{Output, confirm, ids, note, print_json, print_table, say},
    trust,
    units::plain_value,
    unopened,
    width::fit,
};

/// How long the ends of partitions are looked for.
const LOOK_UP: Duration = Duration::from_secs(2);

/// Recoveries of a topic's partitions that are told, the newest.
const RECOVERIES: usize = 5;

const CREATE_EXAMPLES: &str = "\
Examples:
  holdfast topic create orders    with the cluster's defaults
  holdfast topic create orders --partitions 12 --replication-factor 3
  holdfast topic create audit -c min.insync.replicas=2 -c retention.ms=-1
  holdfast topic create logs -c retention.ms=12h -c retention.bytes=10GiB";

const LS_EXAMPLES: &str = "\
Examples:
  holdfast topic ls
  holdfast topic ls -o json | jq -r '.[].name'";

const DESCRIBE_EXAMPLES: &str = "\
Examples:
  holdfast topic describe orders
  holdfast topic describe orders -o json | jq '.partitions[].high_watermark'";

const DELETE_EXAMPLES: &str = "\
Examples:
  holdfast topic delete orders
  holdfast topic delete orders audit --yes     without a question";

const ALTER_EXAMPLES: &str = "\
Examples:
  # more partitions, never fewer; keys move to others
  holdfast topic alter orders --partitions 24
  holdfast topic alter orders -c retention.ms=1d
  holdfast topic alter orders --unset retention.ms     back to the default";

/// Arguments of `holdfast topic`.
#[derive(Debug, Args)]
pub struct TopicArgs {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    command: TopicCommand,
}

#[derive(Debug, Subcommand)]
enum TopicCommand {
    /// Create a topic, empty, with its settings.
    #[command(after_help = CREATE_EXAMPLES)]
    Create(CreateArgs),
    /// List topics, each with its health.
    #[command(visible_alias = "list", after_help = LS_EXAMPLES)]
    Ls,
    /// Show a topic: leaders, replicas, offsets, settings.
    #[command(after_help = DESCRIBE_EXAMPLES)]
    Describe {
        /// Name of the topic.
        #[arg(value_name = "TOPIC")]
        name: String,
    },
    /// Delete a topic and all of its records.
    #[command(visible_alias = "rm", after_help = DELETE_EXAMPLES)]
    Delete {
        /// Names of the topics.
        #[arg(required = true, value_name = "TOPIC")]
        names: Vec<String>,
        /// Answer the question with yes.
        #[arg(short, long)]
        yes: bool,
    },
    /// Change settings of a topic, or add partitions.
    #[command(
        after_help = ALTER_EXAMPLES,
        override_usage = "holdfast topic alter [OPTIONS] <--partitions|--config|--unset> <TOPIC>"
    )]
    Alter(AlterArgs),
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// Name: 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-'.
    #[arg(value_name = "TOPIC")]
    name: String,
    /// Number of partitions [default: the cluster's].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    partitions: Option<u32>,
    /// Number of replicas of each partition [default: the cluster's].
    #[arg(short, long, alias = "replicas", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    replication_factor: Option<u32>,
    /// A setting, by Kafka's name.
    #[arg(short, long = "config", value_name = "KEY=VALUE")]
    configs: Vec<Setting>,
    /// Succeed if the topic exists already.
    #[arg(long)]
    if_not_exists: bool,
    /// Check everything, create nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
struct AlterArgs {
    /// Name of the topic.
    #[arg(value_name = "TOPIC")]
    name: String,
    /// New number of partitions, more than now.
    #[arg(long, value_name = "N", group = "change")]
    partitions: Option<u32>,
    /// A setting, by Kafka's name.
    #[arg(short, long = "config", value_name = "KEY=VALUE", group = "change")]
    configs: Vec<Setting>,
    /// A setting to reset to its default.
    #[arg(long, value_name = "KEY", group = "change")]
    unset: Vec<String>,
    /// Check everything, change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Asks or changes topics through any broker; a deletion asks at the terminal first.
pub async fn run(args: TopicArgs, output: Output) -> Result {
    let client = args.connect.client().await?;
    match args.command {
        TopicCommand::Create(args) => create(&client, args, output).await,
        TopicCommand::Ls => list(&client, output).await,
        TopicCommand::Describe { name } => describe(&client, &name, output).await,
        TopicCommand::Delete { names, yes } => delete(&client, &names, yes, output).await,
        TopicCommand::Alter(args) => alter(&client, args, output).await,
    }
}

async fn create(client: &Client, args: CreateArgs, output: Output) -> Result {
    let mut topic = NewTopic::new(&args.name)
        .partitions(args.partitions.unwrap_or(0))
        .replication_factor(args.replication_factor.unwrap_or(0))
        .validate_only(args.dry_run);
    for Setting { key, value } in args.configs {
        let value = plain_value(&key, value);
        topic = topic.config(key, value);
    }
    let created = match client.admin().create_topic(topic).await {
        Err(error) if args.if_not_exists && exists(&error) => {
            note(format!("{} exists already", args.name));
            if output == Output::Json {
                print_json(&topic_json(&client.admin().describe_topic(&args.name).await?));
            }
            return Ok(());
        }
        Err(error) if exists(&error) => {
            return Err(Failure::error(format!("{error}\nadd --if-not-exists to accept that")));
        }
        created => created?,
    };
    for warning in &created.warnings {
        note(format!("warning: {warning}"));
    }
    match (created.topic, output) {
        (None, Output::Json) => print_json(&changed_json(&args.name, true, &created.warnings)),
        (None, Output::Table) => note(format!("{} could be created; nothing was changed", args.name)),
        (Some(topic), Output::Json) => print_json(&topic_json(&topic)),
        (Some(topic), Output::Table) => {
            let replicas = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
            let partitions = counted(topic.partitions.len() as u64, "partition");
            say(format!("created {}: {partitions}, {} each", topic.name, counted(replicas as u64, "replica")));
        }
    }
    Ok(())
}

fn exists(error: &Error) -> bool {
    error.code() == Some(holdfast_proto::error::ErrorCode::TopicAlreadyExists)
}

async fn list(client: &Client, output: Output) -> Result {
    let topics = client.admin().list_topics().await?;
    if output == Output::Json {
        print_json(&topics.iter().map(topic_json).collect::<Vec<_>>());
        return Ok(());
    }
    let rows = topics.iter().map(|topic| {
        [topic.name.to_string(), topic.partitions.len().to_string(), replica_counts(topic), health(topic)]
    });
    print_table(["TOPIC", "PARTITIONS", "REPLICAS", "HEALTH"], rows);
    Ok(())
}

/// Replicas of each partition: one number, or from the fewest to the most.
fn replica_counts(topic: &TopicView) -> String {
    let counts = || topic.partitions.iter().map(|partition| partition.replicas.len());
    match (counts().min().unwrap_or(0), counts().max().unwrap_or(0)) {
        (least, most) if least == most => least.to_string(),
        (least, most) => format!("{least}-{most}"),
    }
}

/// What is wrong with its partitions, the worst first.
fn health(topic: &TopicView) -> String {
    let count = |bad: fn(&PartitionView) -> bool| topic.partitions.iter().filter(|partition| bad(partition)).count();
    let offline = count(|partition| partition.leader.is_none());
    // Each counts once, as the worse of what it is.
    let under_replicated =
        count(|partition| partition.leader.is_some() && partition.isr.len() < partition.replicas.len());
    match (offline, under_replicated) {
        (0, 0) => "ok".to_owned(),
        (0, under) => format!("{under} under-replicated"),
        (offline, 0) => format!("{offline} offline"),
        (offline, under) => format!("{offline} offline, {under} under-replicated"),
    }
}

async fn describe(client: &Client, name: &str, output: Output) -> Result {
    let admin = client.admin();
    let mut known = admin.describe_partitions(vec![name.to_owned()]).await?;
    let topic = trust::views(&known)?.pop().ok_or_else(|| Error::UnknownTopic(name.to_owned()))?;
    let configs = admin.topic_config(name).await?;
    // Ends are shown where they are known: a partition without a leader has none to tell, and holds up no other.
    let query = |at: &PartitionView, spec| OffsetQuery { topic: name.to_owned(), partition: at.partition, spec };
    let queries: Vec<_> = topic
        .partitions
        .iter()
        .flat_map(|at| [query(at, OffsetSpec::Earliest), query(at, OffsetSpec::Latest)])
        .collect();
    let ends = admin.list_offsets_each(&queries, LOOK_UP).await;
    // Empty if no controller answers in time.
    let cluster = match tokio::time::timeout(LOOK_UP, admin.describe_cluster()).await {
        Ok(Ok(cluster)) => cluster,
        Ok(Err(_)) | Err(_) => DescribeClusterResponse::default(),
    };
    unopened::mark(&mut known, &cluster);
    let recoveries = recoveries(cluster, name);
    let end = |at: usize, which: usize| Some(ends.get(2 * at + which)?.as_ref().ok()?.offset?.0);
    if output == Output::Json {
        let mut json = topic_json(&topic);
        let known = trust::by_name(&known);
        for (at, partition) in json["partitions"].as_array_mut().into_iter().flatten().enumerate() {
            partition["log_start_offset"] = json!(end(at, 0));
            partition["high_watermark"] = json!(end(at, 1));
            partition["trust"] = trust::found_json(&known, name, topic.partitions[at].partition.0);
        }
        let config =
            |entry: &ConfigEntry| json!({ "key": entry.key, "value": entry.value, "default": entry.is_default });
        json["recoveries"] = recoveries.iter().map(given_up::as_json).collect();
        json["configs"] = configs.iter().map(config).collect();
        print_json(&json);
        return Ok(());
    }
    let rows = topic.partitions.iter().enumerate().map(|(at, partition)| {
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        [
            partition.partition.to_string(),
            partition.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
            partition.leader_epoch.to_string(),
            ids(&partition.replicas),
            ids(&partition.isr),
            ids(&partition.elr),
            number(end(at, 0)),
            number(end(at, 1)),
        ]
    });
    let records: u64 = (0..topic.partitions.len()).filter_map(|at| end(at, 1)?.checked_sub(end(at, 0)?)).sum();
    let unknown = (0..topic.partitions.len()).filter(|at| end(*at, 0).is_none() || end(*at, 1).is_none()).count();
    let records = match unknown {
        0 => counted(records, "record"),
        unknown => {
            format!("at least {} ({} not counted)", counted(records, "record"), counted(unknown as u64, "partition"))
        }
    };
    say(format!("{} ({}): {}, {records}\n", topic.name, topic.id, health(&topic)));
    print_table(["PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR", "ELR", "START", "END"], rows);
    let mut told = trust::told(&known);
    told.extend(recoveries.iter().rev().take(RECOVERIES).map(|one| fit(&given_up::past(one), " ")));
    if recoveries.len() > RECOVERIES {
        let more = recoveries.len() - RECOVERIES;
        told.push(fit(&format!("{more} more, earlier: holdfast cluster recoveries --topic {name}"), " "));
    }
    if !told.is_empty() {
        say(format!("\n{}", told.join("\n")));
    }
    let settings = configs.into_iter().map(|entry| {
        let origin = if entry.is_default { "default" } else { "topic" };
        [entry.key, entry.value.unwrap_or_default(), origin.to_owned()]
    });
    say(format!("\n{}", render_table(["SETTING", "VALUE", "FROM"], settings)));
    Ok(())
}

/// What operators gave up of this topic, of the newest that the cluster tells.
fn recoveries(view: DescribeClusterResponse, name: &str) -> Vec<PartitionRecovery> {
    let all = view.recoveries.into_iter().map(|info| PartitionRecovery::from_message(info, 0));
    all.filter(|recovery| recovery.topic == name).collect()
}

async fn delete(client: &Client, names: &[String], yes: bool, output: Output) -> Result {
    // Before the question, so that a misspelt name is told at once, and so that what is deleted is what was there then.
    let mut topics = Vec::new();
    for name in names {
        topics.push(client.admin().describe_topic(name).await?);
    }
    confirm(&format!("This deletes {} with all records", names.join(", ")), yes)?;
    let mut deleted = Vec::new();
    let mut result = Ok(());
    for (topic, name) in topics.iter().zip(names) {
        if let Err(error) = client.admin().delete_this_topic(topic).await {
            result = Err(error.into());
            break;
        }
        if output == Output::Table {
            say(format!("deleted {name}"));
        }
        deleted.push(name);
    }
    // Also what went before a failure.
    if output == Output::Json {
        print_json(&json!({ "deleted": deleted }));
    }
    result
}

async fn alter(client: &Client, args: AlterArgs, output: Output) -> Result {
    let mut change = TopicChange::new(&args.name).validate_only(args.dry_run);
    if let Some(count) = args.partitions {
        change = change.partitions(count);
    }
    for Setting { key, value } in args.configs {
        let value = plain_value(&key, value);
        change = change.set(key, value);
    }
    for key in args.unset {
        change = change.unset(key);
    }
    let mut warnings = client.admin().alter_topic(change).await?;
    if args.partitions.is_some() {
        warnings
            .push("with more partitions, a key's new records may go to another partition than its old ones".to_owned());
    }
    for warning in &warnings {
        note(format!("warning: {warning}"));
    }
    if output == Output::Json {
        print_json(&changed_json(&args.name, args.dry_run, &warnings));
        return Ok(());
    }
    let done = if args.dry_run { "can be changed like this; nothing was changed" } else { "changed" };
    say(format!("{} {done}", args.name));
    Ok(())
}

/// A topic that was changed, or that a dry run would create or change.
fn changed_json(name: &str, dry_run: bool, warnings: &[String]) -> serde_json::Value {
    json!({ "name": name, "dry_run": dry_run, "warnings": warnings })
}

fn topic_json(topic: &TopicView) -> serde_json::Value {
    let partition = |partition: &PartitionView| {
        json!({
            "partition": partition.partition,
            "leader": partition.leader,
            "leader_epoch": partition.leader_epoch,
            "partition_epoch": partition.partition_epoch,
            "replicas": partition.replicas,
            "isr": partition.isr,
            "elr": partition.elr,
        })
    };
    json!({
        "name": topic.name.as_ref(),
        "topic_id": topic.id,
        "partitions": topic.partitions.iter().map(partition).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
#[path = "topic_tests.rs"]
mod tests;
