//! `holdfast partition move` and `cancel`.

use clap::Args;
use serde_json::json;

use holdfast_checker::text::counted;
use holdfast_client::{
    admin::{Admin, Move},
    metadata::TopicView,
};
use holdfast_proto::ids::{BrokerId, PartitionIndex};

use crate::{
    exit::{Failure, Result},
    moves::{self, Start},
    output::{Output, confirm, ids, note, print_json, say},
};

pub(super) const MOVE_EXAMPLES: &str = "\
Examples:
  # the first one leads if it can
  holdfast partition move orders 3 --to 4,2,3
  # one more replica
  holdfast partition move orders 3 --to 1,2,3,4";

pub(super) const CANCEL_EXAMPLES: &str = "\
Examples:
  holdfast partition cancel --yes       every move under way
  holdfast partition cancel orders      those of one topic
  holdfast partition cancel orders 3    one";

#[derive(Debug, Args)]
pub(super) struct MoveArgs {
    /// Name of the topic.
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// Index of the partition.
    #[arg(value_name = "PARTITION")]
    partition: u32,
    /// Brokers that will hold it, the preferred leader first.
    #[arg(long, value_name = "IDS", value_delimiter = ',', required = true)]
    to: Vec<u32>,
    /// Answer the question with yes: whether fewer replicas are meant.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    start: Start,
}

#[derive(Debug, Args)]
pub(super) struct CancelArgs {
    /// Name of the topic [default: all].
    #[arg(value_name = "TOPIC")]
    topic: Option<String>,
    /// Index of the partition [default: all].
    #[arg(value_name = "PARTITION")]
    partition: Option<u32>,
    /// Answer the question with yes.
    #[arg(short, long)]
    yes: bool,
}

pub(super) async fn run_move(admin: &Admin, args: MoveArgs, output: Output) -> Result {
    let topic = admin.describe_topic(&args.topic).await?;
    let index = PartitionIndex(args.partition);
    let partition = topic.partition(index).ok_or_else(|| {
        let last = topic.partitions.len().saturating_sub(1);
        Failure::error(format!("unknown partition '{index}' of {}; known: 0 to {last}", args.topic))
    })?;
    let one = Move {
        old_replicas: partition.replicas.clone(),
        ..Move::to(args.topic, index, args.to.into_iter().map(BrokerId))
    };
    // Those that an earlier move brings in are not there yet.
    let before = partition.replicas.len() - partition.adding.len().min(partition.replicas.len());
    let after = one.new_replicas.len();
    if after < before {
        let fewer = format!("This leaves {}-{} {after} of its {before} replicas", one.topic, one.partition);
        confirm(&fewer, args.yes)?;
    }
    let outcome = args.start.make(admin, std::slice::from_ref(&one)).await?;
    if !outcome.problems.is_empty() {
        return Err(Failure::error(outcome.problems.join("\n")));
    }
    match output {
        Output::Json => print_json(&moves::as_json(&[one])[0]),
        Output::Table => {
            let (from, to) = (ids(&one.old_replicas), ids(&one.new_replicas));
            let done = if args.start.wait { "moved" } else { "moves" };
            say(format!("{}-{} {done} from {from} to {to}", one.topic, one.partition));
        }
    }
    Ok(())
}

pub(super) async fn run_cancel(admin: &Admin, args: &CancelArgs, output: Output) -> Result {
    let topics = match &args.topic {
        Some(name) => vec![admin.describe_topic(name).await?],
        None => admin.list_topics().await?,
    };
    let cancelled = moving(&topics, args.partition);
    if cancelled.is_empty() {
        match output {
            Output::Json => print_json(&json!([])),
            Output::Table => note("no move is under way"),
        }
        return Ok(());
    }
    // One that is named needs no question.
    confirm(
        &format!("This ends {} under way", counted(cancelled.len() as u64, "move")),
        args.yes || args.partition.is_some(),
    )?;
    let (done, problems) = moves::ask(admin, &cancelled, None).await?;
    match output {
        Output::Json => print_json(&done),
        Output::Table => done.iter().for_each(|name| say(format!("{name}: cancelled"))),
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure::error(problems.join("\n"))) }
}

/// The ends of all moves under way, or of one partition's.
fn moving(topics: &[TopicView], partition: Option<u32>) -> Vec<Move> {
    let all = topics.iter().flat_map(|topic| topic.partitions.iter().map(move |partition| (topic, partition)));
    all.filter(|(_, one)| one.is_moving() && partition.is_none_or(|partition| one.partition.0 == partition))
        .map(|(topic, one)| Move::cancel(topic.name.as_ref(), one.partition))
        .collect()
}
