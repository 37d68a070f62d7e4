//! `holdfast audit verify`: is all that audits wrote before still there?

use serde_json::json;

use holdfast_checker::{holes::Holes, readback, sequences::Tally};
use holdfast_client::{
    Client,
    consumer::{Consumer, MessageBatch, StartAt},
};

use super::{flags::VerifyArgs, kept::Kept, live::Checker, one_run::connect_within, starts::Starts};
use crate::{
    connect::Connect,
    exit::{Code, Failure, Result},
    output::{Output, note, print_json},
    width::say_long,
};

pub(super) async fn run(connect: &Connect, args: &VerifyArgs, output: Output) -> Result {
    let client = connect_within(connect, args.timeout).await?;
    let Found { tally, foreign, starts } = read(&client, &args.topic, args.allow_expired).await?;
    let absent = args.expect.unwrap_or(0).saturating_sub(tally.read.saturating_add(tally.expired));
    if output == Output::Json {
        print_json(&json!({
            "topic": args.topic,
            "tally": tally,
            "foreign": foreign,
            "fewer_than_expected": absent,
            "log_starts": starts.offsets,
            "retention": starts.retention,
            "unexplained_log_starts": starts.unexplained,
        }));
    } else {
        tally.examples.iter().for_each(note);
        let line = format!(
            "keys={} read={} lost={} duplicated={} reordered={} unfinished={} excused={} expired={} \
             foreign={foreign}",
            tally.keys,
            tally.read,
            tally.lost,
            tally.duplicated,
            tally.reordered,
            tally.unfinished,
            tally.excused,
            tally.expired
        );
        say_long(&line, " ");
        starts.told(&tally, &args.topic).iter().for_each(note);
        if let Some(text) = unvouched(&tally, &args.topic) {
            note(text);
        }
    }
    if tally.keys == 0 && starts.may_expire() {
        return Err(Failure::error(format!(
            "nothing is left to compare: retention removed whatever audits wrote to {}; check sooner, or keep more",
            args.topic
        )));
    }
    if tally.keys == 0 {
        return Err(Failure::new(Code::Loss, format!("no audit's records are in {}", args.topic)));
    }
    if absent > 0 {
        return Err(Failure::new(Code::Loss, format!("{absent} records fewer than expected")));
    }
    if !tally.is_clean() {
        return Err(Failure::new(Code::Loss, wrong(&tally, &args.topic)));
    }
    if tally.unfinished > 0 && !args.allow_unfinished {
        let message = format!(
            "{} keys have no end marker: their runs were killed or still go on, or their ends are lost",
            tally.unfinished
        );
        return Err(Failure::new(Code::Loss, message));
    }
    Ok(())
}

/// What a reading found.
struct Found {
    tally: Tally,
    /// Records that are of no audit.
    foreign: u64,
    starts: Starts,
}

/// Reads the topic and judges it.
async fn read(client: &Client, topic: &str, allow_expired: bool) -> Result<Found> {
    let mut consumer = Consumer::builder(client.clone()).assign_topic(topic, StartAt::Earliest).build().await?;
    let mut checker = Checker::new(super::load::KEY_PREFIX);
    let mut kept = Kept::default();
    let each = |batch: MessageBatch| take(&mut checker, &mut kept, &batch);
    readback::read_to_end(&mut consumer, topic, each, |told| note(told.to_string())).await?;
    // An audit that still goes on may state in one partition what came to another behind the end that was read to. Up to
    // the ends of now everything must be there that was stated until now.
    checker.settle();
    let each = |batch: MessageBatch| take(&mut checker, &mut kept, &batch);
    readback::read_to_end(&mut consumer, topic, each, |told| note(told.to_string())).await?;
    // After the reading: retention goes on meanwhile.
    let partitions = consumer.positions().map(|(partition, _)| partition);
    let starts = Starts::look_up(client, topic, partitions, &kept, allow_expired).await?;
    for (partition, log_start) in starts.expiring() {
        checker.begins(partition, log_start);
    }
    let foreign = checker.foreign;
    Ok(Found { tally: checker.finish(consumer.positions().count()), foreign, starts })
}

fn take(checker: &mut Checker, kept: &mut Kept, batch: &MessageBatch) {
    kept.take(batch);
    checker.take(batch);
}

/// What is wrong, as the error says it.
fn wrong(tally: &Tally, topic: &str) -> String {
    let Some(cut) = tally.cut.first() else { return "records are missing or wrong".to_owned() };
    let others = match tally.cut.len() {
        1 => String::new(),
        count => format!(", and {} more partitions lost theirs", count - 1),
    };
    format!("{topic}-{} lost offsets {} to {}, which were acknowledged{others}", cut.partition, cut.from, cut.to)
}

/// Names the partitions of which nobody can tell whether something is missing.
fn unvouched(tally: &Tally, topic: &str) -> Option<String> {
    let mut indices = Holes::default();
    tally.unvouched.iter().for_each(|partition| indices.push(u64::from(*partition)));
    let indices = indices.to_text();
    let which = if tally.unvouched.len() == 1 { "partition" } else { "partitions" };
    (!tally.unvouched.is_empty())
        .then(|| format!("nothing says what must be in {which} {indices} of {topic}: no audit that ended wrote there"))
}

#[cfg(test)]
mod tests {
    use holdfast_checker::sequences::Cut;

    use super::*;

    #[test]
    fn what_is_gone_is_named_with_partition_and_offsets() {
        let cut = |partition| Cut { partition, from: 0, to: 431 };
        let tally = |cut: Vec<Cut>| Tally { cut, ..Tally::default() };
        assert_eq!(wrong(&tally(vec![cut(3)]), "a"), "a-3 lost offsets 0 to 431, which were acknowledged");
        assert!(wrong(&tally(vec![cut(3), cut(5)]), "a").ends_with("acknowledged, and 1 more partitions lost theirs"));
        assert_eq!(wrong(&tally(Vec::new()), "a"), "records are missing or wrong");
    }

    #[test]
    fn partitions_that_nothing_vouches_for_are_named_as_ranges() {
        let tally = |unvouched: Vec<u32>| Tally { unvouched, ..Tally::default() };
        assert_eq!(unvouched(&tally(Vec::new()), "a"), None);
        let text = unvouched(&tally(vec![3, 5, 6, 7]), "a").unwrap();
        assert!(text.starts_with("nothing says what must be in partitions 3,5-7 of a: "), "{text}");
    }
}
