use super::*;

const SKEW_MS: u64 = 60_000;
const THAW_MS: u64 = 600_000;
const YEARS_MS: i64 = 10 * 365 * 24 * 60 * 60 * 1000;
const START_MS: i64 = 1_700_000_000_000;

/// After so long, with a wall clock that is wrong by so much.
fn at(steady_ms: i64, wrong_ms: i64) -> Look {
    Look { wall_ms: START_MS + steady_ms + wrong_ms, steady_ms }
}

fn jumped(by_ms: i64, left_ms: i64) -> Result<(), Distrusted> {
    Err(Distrusted::Jumped { by_ms, left_ms })
}

/// A controller says that it agrees.
fn agrees(trust: &mut TimeTrust, now: Look) {
    trust.heard(now, Said::Agrees(0));
}

fn trusted() -> TimeTrust {
    let mut trust = TimeTrust::new(SKEW_MS, THAW_MS);
    assert_eq!(trust.look(at(0, 0)), Err(Distrusted::Unconfirmed));
    trust.heard(at(10, 0), Said::Agrees(3));
    assert_eq!(trust.look(at(20, 0)), Ok(()));
    trust
}

#[test]
fn a_jump_ends_the_trust_until_all_agree_for_a_while() {
    let mut trust = trusted();
    assert_eq!(trust.look(at(1_000, YEARS_MS)), jumped(YEARS_MS, 600_000));
    trust.heard(at(2_000, YEARS_MS), Said::Differs(YEARS_MS));
    assert_eq!(trust.look(at(3_000, YEARS_MS)), Err(Distrusted::Differs(YEARS_MS)));
    // Five seconds later it is set right: that is a jump, too.
    assert_eq!(trust.look(at(6_000, 0)), jumped(-YEARS_MS, 600_000));
    agrees(&mut trust, at(605_999, 0));
    assert_eq!(trust.look(at(605_999, 0)), jumped(-YEARS_MS, 1));
    assert_eq!(trust.look(at(606_000, 0)), Ok(()));
}

#[test]
fn clocks_that_jump_together_are_trusted_only_after_a_while() {
    let mut trust = trusted();
    assert!(trust.look(at(1_000, YEARS_MS)).is_err());
    agrees(&mut trust, at(600_999, YEARS_MS));
    assert_eq!(trust.look(at(600_999, YEARS_MS)), jumped(YEARS_MS, 1));
    assert_eq!(trust.look(at(601_000, YEARS_MS)), Ok(()));
}

#[test]
fn a_drift_is_no_jump_and_a_difference_is_not_trusted() {
    let mut trust = trusted();
    let mut drifted_ms = 0;
    for hour in 1..=100 {
        drifted_ms += 1_800;
        agrees(&mut trust, at(hour * 3_600_000, drifted_ms));
        assert_eq!(trust.look(at(hour * 3_600_000, drifted_ms)), Ok(()), "500 ppm");
    }
    let now = at(100 * 3_600_000, drifted_ms);
    trust.heard(now, Said::Agrees(drifted_ms));
    assert_eq!(trust.look(now), Err(Distrusted::Differs(drifted_ms)));
    trust.heard(now, Said::Agrees(0));
    assert_eq!(trust.look(now), Ok(()));
}

#[test]
fn what_no_controller_confirms_any_more_is_not_trusted() {
    let mut trust = trusted();
    assert_eq!(trust.look(at(60_009, 0)), Ok(()));
    assert_eq!(trust.look(at(60_010, 0)), Err(Distrusted::Unconfirmed));
    agrees(&mut trust, at(60_020, 0));
    assert_eq!(trust.look(at(60_020, 0)), Ok(()));
}

/// A process that begins on the same boot.
fn again(jump: Option<KeptJump>, before: Look, now: Look) -> TimeTrust {
    let mut trust = TimeTrust::new(SKEW_MS, THAW_MS);
    trust.began(Before { look: Some(before), wall_ms: before.wall_ms, jump }, now);
    trust
}

#[test]
fn a_restart_hides_no_jump() {
    let mut trust = again(None, at(0, 0), at(5_000, YEARS_MS));
    agrees(&mut trust, at(5_000, YEARS_MS));
    assert_eq!(trust.look(at(6_000, YEARS_MS)), jumped(YEARS_MS, 599_000), "it came while nobody looked");
    // The looks go on to be kept, and all controllers jumped too: what is left of the thaw is kept with them.
    let mut before = trusted();
    assert!(before.look(at(1_000, YEARS_MS)).is_err());
    let kept = before.to_keep(at(61_000, YEARS_MS));
    assert_eq!(kept, Some(KeptJump { left_ms: 540_000, by_ms: YEARS_MS }));
    let mut trust = again(kept, at(61_000, YEARS_MS), at(62_000, YEARS_MS));
    agrees(&mut trust, at(600_999, YEARS_MS));
    assert_eq!(trust.look(at(600_999, YEARS_MS)), jumped(YEARS_MS, 1));
    assert_eq!(trust.look(at(601_000, YEARS_MS)), Ok(()));
    assert_eq!(trust.to_keep(at(601_000, YEARS_MS)), None);
}

#[test]
fn after_a_start_of_the_machine_it_thaws_a_while_later_each_time() {
    let begin = |wall_ms| {
        let mut trust = TimeTrust::new(SKEW_MS, THAW_MS);
        let now = Look { wall_ms, steady_ms: 40 };
        trust.began(Before { look: None, wall_ms: START_MS, jump: None }, now);
        agrees(&mut trust, now);
        (trust, now)
    };
    for later_ms in [86_400_000, YEARS_MS] {
        let (mut trust, now) = begin(START_MS + later_ms);
        assert_eq!(trust.look(now), Err(Distrusted::Started { left_ms: 600_000 }));
        let then = Look { wall_ms: now.wall_ms + 600_000, steady_ms: 600_040 };
        agrees(&mut trust, then);
        assert_eq!(trust.look(then), Ok(()));
    }
    let (mut trust, now) = begin(1_000);
    assert_eq!(trust.look(now), jumped(1_000 - START_MS, 600_000), "a clock without a battery begins in 1970");
}

#[test]
fn without_a_majority_nothing_is_trusted_and_too_few_that_are_heard_say_nothing() {
    let mut trust = trusted();
    trust.heard(at(1_000, 0), Said::Unheard);
    assert_eq!(trust.look(at(60_009, 0)), Ok(()), "what was said before counts on");
    assert_eq!(trust.look(at(60_010, 0)), Err(Distrusted::Unheard), "for a minute");
    trust.heard(at(61_000, 0), Said::Split);
    assert_eq!(trust.look(at(61_000, 0)), Err(Distrusted::Split), "at once");
    trust.heard(at(62_000, 0), Said::Unheard);
    assert_eq!(trust.look(at(62_000, 0)), Err(Distrusted::Split));
    agrees(&mut trust, at(63_000, 0));
    assert_eq!(trust.look(at(63_000, 0)), Ok(()));
}

#[test]
fn a_controller_of_an_earlier_build_is_compared_with() {
    let mut trust = trusted();
    let now = at(1_000, 0);
    trust.heard(now, Said::Time(now.wall_ms - 60_001));
    assert_eq!(trust.look(now), Err(Distrusted::Differs(60_001)));
    trust.heard(now, Said::Time(now.wall_ms - 60_000));
    assert_eq!(trust.look(now), Ok(()));
}
