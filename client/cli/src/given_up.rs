//! What operators gave up so that partitions went on, in words: how much is lost, and why that may not be known.

use serde_json::json;

use holdfast_checker::text::counted;
use holdfast_client::admin::{Doubt, Loss, PartitionRecovery};
use holdfast_proto::{ids::Offset, v1::ReplicaClaim};

/// What is, was or would be given up, in one line.
pub(crate) fn told(given_up: &PartitionRecovery) -> String {
    let absent = match &given_up.absent[..] {
        [] => String::new(),
        absent => format!(", and what broker {} alone holds", crate::output::ids(absent)),
    };
    let farther: Vec<_> = given_up.farther().map(reach).collect();
    let farther = if farther.is_empty() { String::new() } else { format!("; not chosen: {}", farther.join(", ")) };
    format!("{}{absent}{farther}", lost(given_up))
}

/// The same in a few words, for a table.
pub(crate) fn short(given_up: &PartitionRecovery) -> String {
    let range = |from: Offset, to: Offset| format!("{from} to {} ({})", to.0 - 1, counted(to.0 - from.0, "record"));
    let lost = match given_up.loss() {
        Loss::Nothing => "nothing that is known of".to_owned(),
        Loss::Offsets(from, to) => range(from, to),
        Loss::Unknown { at_least: Some((from, to)), .. } => format!("unknown, at least {}", range(from, to)),
        Loss::Unknown { at_least: None, .. } => "unknown".to_owned(),
    };
    match &given_up.absent[..] {
        [] => lost,
        absent => format!("{lost}; all of broker {}", crate::output::ids(absent)),
    }
}

fn lost(given_up: &PartitionRecovery) -> String {
    match given_up.loss() {
        Loss::Nothing => "no record below the high watermark that was known".to_owned(),
        Loss::Offsets(from, to) => offsets(from, to),
        Loss::Unknown { at_least: Some((from, to)), why } => {
            format!("unknown, at least {}: {}", offsets(from, to), because(why))
        }
        Loss::Unknown { at_least: None, why } => {
            let what = match (why, given_up.end) {
                (Doubt::NoHighWatermark | Doubt::OldHighWatermark, Some(end)) => {
                    format!("all that was acknowledged from offset {end} on, at least")
                }
                _ => "all that was acknowledged and the replica lacks".to_owned(),
            };
            format!("unknown: {what} ({})", because(why))
        }
    }
}

/// Why it is not known what is given up, after a colon.
fn because(why: Doubt) -> String {
    match why {
        Doubt::Silent => "its broker had not said how far it reaches".to_owned(),
        Doubt::NoHighWatermark => "where the high watermark stood is not known".to_owned(),
        Doubt::OldHighWatermark => {
            "the high watermark that is known is of before the controllers were recovered, and more may \
                                    have been acknowledged since"
                .to_owned()
        }
        Doubt::NoEpoch => {
            "the leader epochs were not kept, so records below its end may be missing too, or be other ones".to_owned()
        }
        Doubt::OlderEpoch { replica: Some(replica), high_watermark } => format!(
            "its last record is of leader epoch {replica}, that below the high watermark of {high_watermark}, so records \
             below its end may be missing too, or be other ones"
        ),
        Doubt::OlderEpoch { replica: None, high_watermark } => {
            format!("it holds no record, and the last one below the high watermark is of leader epoch {high_watermark}")
        }
    }
}

fn offsets(from: Offset, to: Offset) -> String {
    format!("offsets {from} to {} ({})", to.0 - 1, counted(to.0 - from.0, "acknowledged record"))
}

/// How far a replica reached that was not chosen.
fn reach(claim: &ReplicaClaim) -> String {
    let broker = claim.broker_id;
    match claim.leader_epoch {
        _ if claim.unread => format!("broker {broker}, which could not read its replica"),
        Some(epoch) => format!("broker {broker} to offset {} in leader epoch {epoch}", claim.end),
        None => format!("broker {broker}, without a record"),
    }
}

/// A recovery for scripts.
pub(crate) fn as_json(given_up: &PartitionRecovery) -> serde_json::Value {
    let loss = given_up.loss();
    let certain = match (loss, given_up.end) {
        (Loss::Nothing, Some(end)) => Some((end, end)),
        _ => loss.certain(),
    };
    let (name, why) = match loss {
        Loss::Nothing => ("none", None),
        Loss::Offsets(..) => ("offsets", None),
        Loss::Unknown { at_least: Some(_), why } => ("at_least", Some(why)),
        Loss::Unknown { at_least: None, why } => ("unknown", Some(why)),
    };
    json!({
        "topic": given_up.topic,
        "partition": given_up.partition,
        "broker": given_up.broker,
        "leader_epoch": given_up.leader_epoch,
        "end": given_up.end,
        "end_epoch": given_up.claim().and_then(|claim| claim.leader_epoch),
        "high_watermark": given_up.high_watermark,
        "high_watermark_epoch": given_up.high_watermark_epoch,
        "high_watermark_is_old": given_up.high_watermark_is_old,
        "loss": name,
        "loss_reason": why.map(because),
        "given_up_from": certain.map(|(from, _)| from),
        "given_up_to": certain.map(|(_, to)| to),
        "absent": given_up.absent,
        "claims": crate::trust::claims_json(&given_up.claims),
        "at_ms": given_up.at_ms,
    })
}

/// A recovery of the past, in one line.
pub(crate) fn past(recovery: &PartitionRecovery) -> String {
    format!(
        "{}-{} was recovered from broker {} on {} (leader epoch {}); given up: {}",
        recovery.topic,
        recovery.partition,
        recovery.broker,
        at(recovery.at_ms),
        recovery.leader_epoch,
        told(recovery)
    )
}

/// The time, by UTC.
pub(crate) fn at(at_ms: u64) -> String {
    let time = i64::try_from(at_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| format!("{at_ms} ms"), |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use holdfast_proto::v1::RecoveryInfo;

    use super::*;

    fn of(info: &RecoveryInfo) -> PartitionRecovery {
        PartitionRecovery::from_message(info.clone(), 0)
    }

    fn claim(broker_id: u32, leader_epoch: u32, end: u64) -> ReplicaClaim {
        ReplicaClaim { broker_id, leader_epoch: Some(leader_epoch), end, ..Default::default() }
    }

    fn recovery() -> RecoveryInfo {
        RecoveryInfo {
            topic: "orders".to_owned(),
            partition: 3,
            broker_id: 2,
            leader_epoch: 9,
            end: Some(100),
            high_watermark: Some(107),
            absent: vec![1],
            at_ms: 1_700_000_000_000,
            high_watermark_epoch: Some(5),
            high_watermark_is_old: false,
            claims: vec![claim(2, 5, 100)],
        }
    }

    #[test]
    fn a_recovery_names_what_it_gave_up() {
        let info = recovery();
        assert_eq!(
            past(&of(&info)),
            "orders-3 was recovered from broker 2 on 2023-11-14 22:13:20 UTC (leader epoch 9); given up: \
             offsets 100 to 106 (7 acknowledged records), and what broker 1 alone holds"
        );
        let unknown = told(&of(&RecoveryInfo { high_watermark: None, absent: vec![], ..info.clone() }));
        assert!(unknown.starts_with("unknown: all that was acknowledged from offset 100 on, at least ("), "{unknown}");
        let nothing = RecoveryInfo { end: Some(107), absent: vec![], ..info };
        assert_eq!(told(&of(&nothing)), "no record below the high watermark that was known");
        assert_eq!(as_json(&of(&nothing))["loss"], "none");
        assert_eq!(short(&of(&nothing)), "nothing that is known of");
        assert_eq!(short(&of(&recovery())), "100 to 106 (7 records); all of broker 1");
        let old = RecoveryInfo { high_watermark_is_old: true, ..nothing };
        let text = told(&of(&old));
        assert!(
            text.starts_with("unknown: all that was acknowledged from offset 107 on, at least (the high"),
            "{text}"
        );
        assert_eq!(as_json(&of(&old))["loss"], "unknown");
    }

    #[test]
    fn of_an_older_epoch_it_says_that_nobody_knows() {
        let claims = vec![claim(2, 4, 120), claim(3, 5, 90)];
        let info = RecoveryInfo { end: Some(120), absent: vec![], claims, ..recovery() };
        assert_eq!(
            told(&of(&info)),
            "unknown, at least offsets 106 to 106 (1 acknowledged record): its last record is of leader epoch 4, that below \
             the high watermark of 5, so records below its end may be missing too, or be other ones; not chosen: broker 3 to \
             offset 90 in leader epoch 5"
        );
        let json = as_json(&of(&info));
        assert_eq!(
            [&json["loss"], &json["end_epoch"], &json["high_watermark_epoch"]],
            [&json!("at_least"), &json!(4), &json!(5)]
        );
        assert_eq!([&json["given_up_from"], &json["given_up_to"], &json["claims"][1]["broker"]], [106, 107, 3]);
        let kept_before = told(&of(&RecoveryInfo { high_watermark_epoch: None, claims: Vec::new(), ..info }));
        assert!(kept_before.contains("unknown") && kept_before.contains("epochs were not kept"), "{kept_before}");
    }
}
