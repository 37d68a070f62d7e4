//! `holdfast audit verify`: is all that audits wrote before still there?

use serde_json::json;

use holdfast_checker::{given_up::GivenUp, holes::Holes, readback, sequences::Tally, text::counted};
use holdfast_client::{
    Client, Error,
    admin::{Loss, PartitionRecovery},
    consumer::{Consumer, MessageBatch, StartAt},
};

use super::{flags::VerifyArgs, kept::Kept, live::Checker, one_run::connect_within, starts::Starts};
use crate::{
    connect::Connect,
    exit::{Code, Failure, Result},
    given_up,
    output::{Output, note, print_json},
    width::{note_long, say_long},
};

pub(super) async fn run(connect: &Connect, args: &VerifyArgs, output: Output) -> Result {
    let client = connect_within(connect, args.timeout).await?;
    let Found { tally, foreign, starts, recoveries } = read(&client, &args.topic, args.allow_expired).await?;
    let given_up = GaveUp::of(&recoveries, &tally);
    // What was given up is told for itself.
    let known = [tally.expired, given_up.records].into_iter().fold(tally.read, u64::saturating_add);
    let absent = args.expect.unwrap_or(0).saturating_sub(known);
    if output == Output::Json {
        print_json(&json!({
            "topic": args.topic,
            "tally": tally,
            "foreign": foreign,
            "fewer_than_expected": absent,
            "log_starts": starts.offsets,
            "retention": starts.retention,
            "unexplained_log_starts": starts.unexplained,
            "given_up": given_up.records,
            "given_up_is_known": !given_up.is_unknown,
            "recoveries": recoveries.iter().map(given_up::as_json).collect::<Vec<_>>(),
        }));
    } else {
        for recovery in &recoveries {
            note_long(&given_up::past(recovery), " ");
        }
        tally.examples.iter().chain(&tally.given_up_examples).for_each(|example| note_long(example, " "));
        let line = format!(
            "keys={} read={} lost={} given_up={} duplicated={} reordered={} unfinished={} excused={} expired={} \
             foreign={foreign}",
            tally.keys,
            tally.read,
            tally.lost,
            given_up.records,
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
    if let Some(told) = given_up.told(&args.topic).filter(|_| !args.allow_given_up) {
        return Err(Failure::new(Code::Loss, told));
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

/// What operators gave up of the topic, in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct GaveUp {
    /// Records: the offsets that are known, or the numbers that the keys lack, if these are more. A reading does not miss what
    /// is gone together with all that tells of it.
    records: u64,
    /// True if there may be more.
    is_unknown: bool,
}

impl GaveUp {
    fn of(recoveries: &[PartitionRecovery], tally: &Tally) -> Self {
        let losses = || recoveries.iter().map(PartitionRecovery::loss);
        let certain = losses().filter_map(Loss::certain).map(|(from, to)| to.0.saturating_sub(from.0));
        let records = certain.fold(0, u64::saturating_add).max(tally.given_up);
        Self { records, is_unknown: losses().any(|loss| matches!(loss, Loss::Unknown { .. })) }
    }

    /// What to say of it; `None` if nothing was given up.
    fn told(self, topic: &str) -> Option<String> {
        let what = match (self.records, self.is_unknown) {
            (0, false) => return None,
            (0, true) => "acknowledged records, nobody knows how many,".to_owned(),
            (records, false) => counted(records, "acknowledged record"),
            (records, true) => format!("{} or more", counted(records, "acknowledged record")),
        };
        Some(format!("operators gave up {what} of {topic}: holdfast cluster recoveries --topic {topic}"))
    }
}

/// What a reading found.
struct Found {
    tally: Tally,
    /// Records that are of no audit.
    foreign: u64,
    starts: Starts,
    /// What operators gave up of the topic, the newest first.
    recoveries: Vec<PartitionRecovery>,
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
    let recoveries = recoveries(client, topic).await.unwrap_or_else(|error| {
        note(format!("what operators gave up is not known, and counts as lost: {error}"));
        Vec::new()
    });
    for recovery in &recoveries {
        checker.gave_up(recovery.partition.0, as_given_up(recovery));
    }
    let foreign = checker.foreign;
    Ok(Found { tally: checker.finish(consumer.positions().count()), foreign, starts, recoveries })
}

/// What operators gave up of this topic, the newest first. Of one of the same name that was deleted no later epoch than that
/// of now is taken for it.
async fn recoveries(client: &Client, topic: &str) -> std::result::Result<Vec<PartitionRecovery>, Error> {
    let admin = client.admin();
    let (view, known) = (admin.describe_cluster().await?, admin.describe_topic(topic).await?);
    let all = view.recoveries.into_iter().rev().map(|info| PartitionRecovery::from_message(info, 0));
    let is_of = |one: &PartitionRecovery| {
        let state = known.partitions.iter().find(|state| state.partition == one.partition);
        one.topic == topic && state.is_some_and(|state| one.leader_epoch <= state.leader_epoch)
    };
    Ok(all.filter(is_of).collect())
}

/// A recovery as the checker judges by it. One by which nothing was lost excuses nothing.
fn as_given_up(recovery: &PartitionRecovery) -> GivenUp {
    let end = recovery.end.map(|offset| offset.0);
    // Of one from before a recovery of the controllers: more was acknowledged since, and given up.
    let high_watermark = recovery.high_watermark.filter(|_| !recovery.high_watermark_is_old).map(|offset| offset.0);
    let is_exact = !matches!(recovery.loss(), Loss::Unknown { .. });
    GivenUp { end, high_watermark, is_exact }
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
    use holdfast_proto::v1::RecoveryInfo;

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
    fn what_operators_gave_up_is_told_though_no_key_misses_it() {
        let of = |end, high_watermark| {
            let info = RecoveryInfo { end: Some(end), high_watermark, ..Default::default() };
            PartitionRecovery::from_message(info, 0)
        };
        assert_eq!(GaveUp::of(&[], &Tally::default()).told("a"), None);
        let exact = GaveUp::of(&[of(0, Some(40))], &Tally { given_up: 7, ..Tally::default() });
        let expected = "operators gave up 40 acknowledged records of a: holdfast cluster recoveries --topic a";
        assert_eq!(exact.told("a").unwrap(), expected);
        let unknown = GaveUp::of(&[of(9, None)], &Tally::default());
        assert!(unknown.told("a").unwrap().contains("nobody knows how many, of a"), "{unknown:?}");
        let both = GaveUp::of(&[of(9, None), of(0, Some(40))], &Tally::default());
        assert!(both.told("a").unwrap().contains("40 acknowledged records or more of a"), "{both:?}");
    }

    #[test]
    fn partitions_that_nothing_vouches_for_are_named_as_ranges() {
        let tally = |unvouched: Vec<u32>| Tally { unvouched, ..Tally::default() };
        assert_eq!(unvouched(&tally(Vec::new()), "a"), None);
        let text = unvouched(&tally(vec![3, 5, 6, 7]), "a").unwrap();
        assert!(text.starts_with("nothing says what must be in partitions 3,5-7 of a: "), "{text}");
    }
}
