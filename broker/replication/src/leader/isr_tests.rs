//! Reactions to the controller's answers.

use super::*;

const EPOCH: PartitionEpoch = PartitionEpoch(5);

fn expanding() -> Isr {
    let mut isr = Isr::new(vec![BrokerId(1), BrokerId(2)], EPOCH);
    let proposal = Proposal { stage: Stage::InFlight { deadline: Millis(50) }, in_doubt: false };
    isr.begin(IsrState::PendingExpand { joiner: BrokerId(3), proposal, withdraw: false });
    isr
}

fn answer(isr: &mut Isr, code: ErrorCode) {
    isr.answered(EPOCH, Some(code), Millis(10), 5, 100);
}

fn maximal(isr: &Isr) -> Vec<u32> {
    isr.maximal().map(|member| member.0).collect()
}

fn proposed(isr: &Isr) -> Vec<u32> {
    isr.proposed().map(|member| member.0).collect()
}

fn stage(isr: &mut Isr) -> Option<Stage> {
    isr.proposal_mut().map(|proposal| proposal.stage)
}

#[test]
fn a_refused_joiner_is_given_up() {
    let mut isr = expanding();
    assert_eq!((maximal(&isr), proposed(&isr)), (vec![1, 2, 3], vec![1, 2, 3]));
    answer(&mut isr, ErrorCode::IneligibleReplica);
    assert_eq!(isr.state(), &IsrState::Committed);
    assert_eq!(isr.quiet_until(), Some(Millis(15)));
    assert_eq!(maximal(&isr), [1, 2]);
}

#[test]
fn a_refused_joiner_stays_while_an_attempt_is_in_doubt() {
    let mut isr = expanding();
    answer(&mut isr, ErrorCode::RequestTimedOut);
    assert_eq!(stage(&mut isr), Some(Stage::RetryAt(Millis(15))));
    answer(&mut isr, ErrorCode::IneligibleReplica);
    assert_eq!((maximal(&isr), proposed(&isr)), (vec![1, 2, 3], vec![1, 2]));
    assert_eq!(stage(&mut isr), Some(Stage::RetryAt(Millis(10))), "the withdrawal goes out at once");
    answer(&mut isr, ErrorCode::IneligibleReplica);
    assert_eq!(stage(&mut isr), Some(Stage::RetryAt(Millis(15))), "and then with pauses");
    isr.commit(vec![BrokerId(1), BrokerId(2)], PartitionEpoch(6));
    assert_eq!(maximal(&isr), [1, 2]);
}

#[test]
fn a_stale_proposal_waits_for_metadata() {
    for code in [ErrorCode::InvalidUpdateVersion, ErrorCode::FencedLeaderEpoch] {
        let mut isr = expanding();
        answer(&mut isr, code);
        assert_eq!(maximal(&isr), [1, 2, 3]);
        assert_eq!(stage(&mut isr), Some(Stage::RetryAt(Millis(110))));
    }
}

#[test]
fn only_a_decision_about_the_change_leaves_no_doubt() {
    for code in [ErrorCode::NotController, ErrorCode::BrokerNotAvailable, ErrorCode::NoQuorum, ErrorCode::Overloaded] {
        let mut isr = expanding();
        answer(&mut isr, code);
        assert_eq!(stage(&mut isr), Some(Stage::RetryAt(Millis(15))));
        answer(&mut isr, ErrorCode::IneligibleReplica);
        assert_eq!(maximal(&isr), [1, 2, 3], "{code}");
    }
}

#[test]
fn accepted_without_a_new_epoch_is_tried_again() {
    let mut isr = expanding();
    isr.answered(EPOCH, None, Millis(10), 5, 100);
    assert_eq!(stage(&mut isr), Some(Stage::RetryAt(Millis(15))));
    answer(&mut isr, ErrorCode::IneligibleReplica);
    assert_eq!(maximal(&isr), [1, 2]);
}

#[test]
fn an_answer_to_an_older_proposal_says_nothing() {
    let mut isr = expanding();
    isr.answered(PartitionEpoch(4), Some(ErrorCode::IneligibleReplica), Millis(10), 5, 100);
    assert_eq!(maximal(&isr), [1, 2, 3]);
}

#[test]
fn who_is_to_leave_is_waited_for_until_it_has_left() {
    let mut isr = Isr::new(vec![BrokerId(1), BrokerId(2)], EPOCH);
    let proposal = Proposal { stage: Stage::InFlight { deadline: Millis(50) }, in_doubt: false };
    isr.begin(IsrState::PendingShrink { leaving: vec![BrokerId(2)], proposal });
    assert_eq!((maximal(&isr), proposed(&isr)), (vec![1, 2], vec![1]));
}
