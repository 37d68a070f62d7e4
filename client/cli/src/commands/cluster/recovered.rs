//! The controllers went on from a single one of them: what was given up then, and who is still waited for.

use serde_json::json;

use holdfast_proto::v1::{ControllerRecovery, DescribeClusterResponse};

use crate::{trust, width::fit};

/// What was given up each time, the newest last, a line or two each. Kept by the cluster for ever.
pub(super) fn past(view: &DescribeClusterResponse) -> Vec<String> {
    view.controller_recoveries.iter().map(|recovery| fit(&one(recovery), " ")).collect()
}

fn one(recovery: &ControllerRecovery) -> String {
    let mut given_up = Vec::new();
    match &recovery.given_up[..] {
        [] => {}
        [one] => given_up.push(format!("controller {one}")),
        some => given_up.push(format!("controllers {}", list(some))),
    }
    given_up.push(format!("what the metadata was after index {} (term {})", recovery.index, recovery.term));
    match &recovery.without[..] {
        [] => {}
        [one] => given_up.push(format!("the replicas of broker {one}")),
        some => given_up.push(format!("the replicas of brokers {}", list(some))),
    }
    format!(
        "the controllers were recovered from controller {} on {}; given up: {}",
        recovery.controller_id,
        trust::at(recovery.at_ms),
        given_up.join("; ")
    )
}

/// Who has said nothing since, and what to do; empty if all have.
pub(super) fn waiting(view: &DescribeClusterResponse) -> String {
    let unheard = &view.unheard_brokers[..];
    let (who, them) = match unheard {
        [] => return String::new(),
        [one] => (format!("broker {one} has"), "it"),
        some => (format!("brokers {} have", list(some)), "each of them"),
    };
    let what = format!("{who} not registered since the controllers were recovered");
    let next = format!("  -> {}", remedy(them));
    format!("{}\n{}", fit(&what, " "), fit(&next, " "))
}

/// What brings an unsettled partition its leader while brokers were not heard.
fn remedy(them: &str) -> String {
    format!(
        "start {them} again, with the data folder as it was last: until then a partition without a leader gets none. Where \
         one is gone for good: holdfast controller recover"
    )
}

/// Both for scripts: what was given up, the newest last.
pub(super) fn as_json(view: &DescribeClusterResponse) -> serde_json::Value {
    let one = |recovery: &ControllerRecovery| {
        json!({
            "controller": recovery.controller_id,
            "index": recovery.index,
            "term": recovery.term,
            "committed": recovery.committed,
            "given_up_controllers": recovery.given_up,
            "given_up_brokers": recovery.without,
            "at_ms": recovery.at_ms,
        })
    };
    view.controller_recoveries.iter().map(one).collect()
}

fn list<T: ToString>(ids: &[T]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::width::WIDTH;

    #[test]
    fn what_was_given_up_and_who_is_waited_for_is_told() {
        let mut view = DescribeClusterResponse::default();
        assert!(past(&view).is_empty() && waiting(&view).is_empty(), "nothing was recovered");
        view.controller_recoveries = vec![ControllerRecovery {
            controller_id: 71,
            index: 812,
            term: 4,
            given_up: vec![72, 73],
            without: vec![5],
            at_ms: 1_700_000_000_000,
            ..Default::default()
        }];
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(
            words(&past(&view)[0]),
            "the controllers were recovered from controller 71 on 2023-11-14 22:13:20 UTC; given up: controllers 72, 73; \
             what the metadata was after index 812 (term 4); the replicas of broker 5"
        );
        view.unheard_brokers = vec![2];
        assert!(words(&waiting(&view)).starts_with("broker 2 has not registered since"), "{}", waiting(&view));
        view.unheard_brokers = vec![2, 3];
        let text = waiting(&view);
        assert!(words(&text).contains("-> start each of them again"), "{text}");
        assert!(text.lines().chain(past(&view)[0].lines()).all(|line| line.chars().count() <= WIDTH), "{text}");
        assert_eq!(as_json(&view)[0]["given_up_controllers"], json!([72, 73]));
    }
}
