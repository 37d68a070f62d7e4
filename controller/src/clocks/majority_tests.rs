use super::*;

const TOLERANCE_MS: u64 = 60_000;
const YEAR_MS: i64 = 365 * 24 * 60 * 60 * 1_000;
const START_MS: i64 = 1_700_000_000_000;

fn voter(number: u64) -> ClockOf {
    ClockOf::Voter(number)
}

fn broker(number: u32) -> ClockOf {
    ClockOf::Broker(BrokerId(number))
}

/// So many voters and brokers.
fn nodes(voters: u64, brokers: u32) -> Vec<ClockOf> {
    (1..=voters).map(voter).chain((1..=brokers).map(broker)).collect()
}

/// All of them are heard at this moment, those with a clock that is wrong by so much, the others with one that is right.
fn heard(nodes: &[ClockOf], at: u64, wrong: &[(ClockOf, i64)]) -> Readings {
    let mut readings = Readings::default();
    for node in nodes {
        let wrong_ms = wrong.iter().find(|(of, _)| of == node).map_or(0, |(_, wrong_ms)| *wrong_ms);
        readings.hear(*node, Millis(at), (START_MS + at as i64 + wrong_ms) as u64);
    }
    readings
}

fn judge(readings: &mut Readings, of: ClockOf, now: u64, all: &[ClockOf]) -> Verdict {
    readings.judge(of, Millis(now), all.iter().copied(), TOLERANCE_MS)
}

#[test]
fn one_machine_with_a_wrong_clock_is_outvoted_whoever_is_active() {
    let all = nodes(3, 3);
    for machine in 1..=3 {
        for wrong_ms in [YEAR_MS, -YEAR_MS, 60_001] {
            let wrong = [(voter(machine), wrong_ms), (broker(machine as u32), wrong_ms)];
            let mut readings = heard(&all, 1_000, &wrong);
            for of in &all {
                let is_wrong = wrong.iter().any(|(one, _)| one == of);
                let expected = if is_wrong { Verdict::Differs(wrong_ms) } else { Verdict::Agrees(0) };
                assert_eq!(judge(&mut readings, *of, 1_500, &all), expected, "{of:?}, machine {machine}");
            }
        }
    }
}

#[test]
fn those_that_are_down_make_no_majority_of_the_others() {
    let all = nodes(3, 3);
    let alive = [voter(1), broker(1), voter(2)];
    let wrong = [(voter(1), YEAR_MS), (broker(1), YEAR_MS)];
    assert_eq!(judge(&mut heard(&alive, 0, &wrong), broker(1), 0, &all), Verdict::Unheard, "two of three heard");
    let alive = [voter(1), broker(1), voter(2), broker(2)];
    assert_eq!(judge(&mut heard(&alive, 0, &wrong), broker(1), 0, &all), Verdict::Split);
    assert_eq!(judge(&mut heard(&alive, 0, &wrong), broker(2), 0, &all), Verdict::Split);
    assert_eq!(judge(&mut heard(&alive, 0, &[]), broker(2), 0, &all), Verdict::Agrees(0), "most are heard, and agree");
    let half = [voter(1), broker(1), voter(2)];
    assert_eq!(judge(&mut heard(&half, 0, &[]), broker(1), 0, &all), Verdict::Unheard, "half is no majority");
}

#[test]
fn two_clocks_are_a_majority_if_both_agree() {
    let all = nodes(1, 1);
    assert_eq!(judge(&mut heard(&all, 0, &[]), broker(1), 0, &all), Verdict::Agrees(0));
    let both = [(voter(1), YEAR_MS), (broker(1), YEAR_MS)];
    assert_eq!(judge(&mut heard(&all, 0, &both), broker(1), 0, &all), Verdict::Agrees(0), "one machine");
    assert_eq!(judge(&mut heard(&all, 0, &both[..1]), broker(1), 0, &all), Verdict::Split);
    assert_eq!(judge(&mut heard(&all, 0, &both[1..]), broker(1), 0, &all), Verdict::Split);
}

#[test]
fn what_is_within_the_tolerance_agrees_and_says_by_how_much() {
    let all = nodes(3, 2);
    let spread = [(voter(1), -30_000), (voter(2), -5), (broker(1), 60_000), (broker(2), 60_001)];
    let mut readings = heard(&all, 0, &spread);
    let verdicts: Vec<_> = all.iter().map(|of| judge(&mut readings, *of, 0, &all)).collect();
    let agrees = Verdict::Agrees;
    assert_eq!(verdicts, [agrees(-30_000), agrees(-5), agrees(0), agrees(60_000), Verdict::Differs(60_001)]);
}

#[test]
fn a_reading_counts_for_a_while() {
    let all = nodes(1, 2);
    let mut readings = heard(&all, 1_000, &[]);
    assert_eq!(judge(&mut readings, broker(1), 1_000 + READING_MS - 1, &all), Verdict::Agrees(0));
    readings.hear(broker(1), Millis(1_000 + READING_MS), START_MS as u64 + 1_000 + READING_MS);
    assert_eq!(judge(&mut readings, broker(1), 1_000 + READING_MS, &all), Verdict::Unheard, "of one alone");
    let mut readings = heard(&all, 1_000, &[]);
    readings.clear();
    assert_eq!(judge(&mut readings, broker(1), 1_000, &all), Verdict::Unheard);
}

#[test]
fn the_reading_that_was_taken_last_counts() {
    let all = nodes(1, 2);
    let mut readings = heard(&all, 5_000, &[]);
    // The answer to a question of before comes after.
    readings.hear(broker(1), Millis(4_999), (START_MS + 4_999 + YEAR_MS) as u64);
    assert_eq!(judge(&mut readings, broker(1), 5_000, &all), Verdict::Agrees(0));
    readings.hear(broker(1), Millis(5_000), (START_MS + 5_000 + YEAR_MS) as u64);
    assert_eq!(judge(&mut readings, broker(1), 5_000, &all), Verdict::Differs(YEAR_MS));
}

#[test]
fn what_was_heard_before_a_machine_stood_still_counts_no_more() {
    let all = nodes(1, 2);
    let wall = |at: i64| (START_MS + at) as u64;
    for (asleep_ms, expected) in [(0, Verdict::Agrees(0)), (1_000, Verdict::Agrees(0)), (600_000, Verdict::Unheard)] {
        let mut readings = heard(&all, 1_000, &[]);
        readings.look(Millis(1_000), wall(1_000));
        readings.look(Millis(1_500), wall(1_500 + asleep_ms));
        assert_eq!(judge(&mut readings, broker(1), 1_500, &all), expected, "{asleep_ms}");
    }
    // A clock that is slewed has gone a second apart in twenty minutes, and nobody slept.
    let mut readings = heard(&all, 1_200_000, &[]);
    readings.look(Millis(0), wall(0));
    readings.look(Millis(1_200_000), wall(1_202_000));
    assert_eq!(judge(&mut readings, broker(1), 1_200_000, &all), Verdict::Agrees(0));
}

#[test]
fn nodes_of_an_earlier_build_count_and_vouch_for_nobody() {
    let all = nodes(3, 3);
    let upgraded = [broker(1), voter(1), broker(2), voter(2), broker(3), voter(3)];
    for count in 1..=6 {
        let verdict = judge(&mut heard(&upgraded[..count], 0, &[]), broker(1), 0, &all);
        assert_eq!(verdict, if count > 3 { Verdict::Agrees(0) } else { Verdict::Unheard }, "{count} of six");
    }
}

/// Every way in which less than half of the clocks are wrong, by one of several amounts each: nobody who is wrong agrees, and
/// everybody who is right does.
#[test]
fn less_than_half_of_the_clocks_convince_nobody() {
    const WRONG_MS: [i64; 4] = [0, YEAR_MS, -YEAR_MS, 130_000];
    let all = nodes(3, 2);
    let mut convinced = [0_u64; 2];
    for pattern in 0..4_usize.pow(5) {
        let wrong: Vec<(ClockOf, i64)> =
            (0..5).map(|at| (all[at], WRONG_MS[pattern / 4_usize.pow(at as u32) % 4])).collect();
        let is_minority = wrong.iter().filter(|(_, wrong_ms)| *wrong_ms != 0).count() * 2 < all.len();
        let mut readings = heard(&all, 0, &wrong);
        for (of, wrong_ms) in &wrong {
            let verdict = judge(&mut readings, *of, 0, &all);
            if is_minority {
                let expected = if *wrong_ms == 0 { Verdict::Agrees(0) } else { Verdict::Differs(*wrong_ms) };
                assert_eq!(verdict, expected, "{wrong:?}");
            }
            convinced[usize::from(*wrong_ms != 0)] += u64::from(matches!(verdict, Verdict::Agrees(_)));
        }
    }
    assert!(convinced[1] > 0, "a majority that is wrong together is believed: the ages of records are the other guard");
}

#[test]
fn what_was_found_of_all_is_used_again_for_a_moment_and_no_longer() {
    let all = nodes(3, 3);
    let mut readings = heard(&all, 1_000, &[]);
    let mut asked = 0;
    let mut judge_at = |readings: &mut Readings, now: u64| {
        let all = all.iter().copied().inspect(|_| asked += 1);
        let verdict = readings.judge(broker(1), Millis(now), all, TOLERANCE_MS);
        (verdict, std::mem::take(&mut asked) > 0)
    };
    assert_eq!(judge_at(&mut readings, 1_000), (Verdict::Agrees(0), true));
    for now in 1_001..1_000 + JUDGED_MS {
        readings.hear(broker(1), Millis(now), (START_MS + now as i64) as u64);
        assert_eq!(judge_at(&mut readings, now), (Verdict::Agrees(0), false), "{now}");
    }
    assert_eq!(
        judge_at(&mut readings, 1_000 + JUDGED_MS),
        (Verdict::Agrees(0), true),
        "the others may be wrong by now"
    );
    // Its own clock is looked at each time, and who was not heard before is counted at once.
    let later = 1_001 + JUDGED_MS;
    readings.hear(broker(1), Millis(later), (START_MS + later as i64 + YEAR_MS) as u64);
    assert_eq!(judge_at(&mut readings, later), (Verdict::Differs(YEAR_MS), false));
    readings.hear(broker(9), Millis(later), START_MS as u64 + later);
    assert_eq!(judge_at(&mut readings, later), (Verdict::Differs(YEAR_MS), true));
    // No reading counts for longer than it does when all are looked at.
    let mut readings = heard(&all, 1_000, &[]);
    assert_eq!(judge_at(&mut readings, 999 + READING_MS), (Verdict::Agrees(0), true));
    readings.hear(broker(1), Millis(1_000 + READING_MS), START_MS as u64 + 1_000 + READING_MS);
    assert_eq!(judge_at(&mut readings, 1_000 + READING_MS), (Verdict::Unheard, true));
    // What is forgotten is forgotten at once.
    let mut readings = heard(&all, 1_000, &[]);
    assert_eq!(judge_at(&mut readings, 1_000).0, Verdict::Agrees(0));
    readings.clear();
    for node in &all {
        readings.hear(*node, Millis(1_001), (START_MS + 1_001 + YEAR_MS) as u64);
    }
    assert_eq!(judge_at(&mut readings, 1_001), (Verdict::Agrees(0), true), "by another steady clock");
}
