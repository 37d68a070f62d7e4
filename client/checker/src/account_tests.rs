use super::*;

/// A record of key `key` with this sequence and a content that follows from both.
fn record(key: &str, sequence: u64) -> Record {
    Record::new(key.as_bytes(), sequence, format!("{key} {sequence}").as_bytes())
}

/// Ten records of key "a" in partition 0, ten of "b" in partition 1, all acknowledged.
fn account() -> Account {
    let mut account = Account::new(2);
    for sequence in 0..10 {
        account.acknowledge(0, sequence, record("a", sequence));
        account.acknowledge(1, sequence, record("b", sequence));
    }
    account
}

/// What a faithful log gives back.
fn log() -> Vec<(u32, u64, Record)> {
    let of = |partition, key| (0..10).map(move |at| (partition, at, record(key, at)));
    of(0, "a").chain(of(1, "b")).collect()
}

fn check(account: Account, log: &[(u32, u64, Record)], change: impl FnOnce(&mut Verdict)) {
    let mut expected = Verdict { acked: account.acked(), read: log.len() as u64, ..Verdict::default() };
    change(&mut expected);
    let mut audit = account.audit();
    for (partition, offset, record) in log {
        audit.read(*partition, *offset, *record);
    }
    let found = audit.finish();
    assert_eq!(found.is_clean(), found.examples.is_empty());
    assert_eq!(Verdict { examples: Vec::new(), ..found.clone() }, expected, "{:?}", found.examples);
}

#[test]
fn a_faithful_log_is_clean() {
    check(account(), &log(), |_| {});
    check(Account::new(3), &[], |_| {});
}

#[test]
fn a_missing_record_is_lost() {
    let mut log = log();
    log.remove(4);
    check(account(), &log, |verdict| verdict.lost = 1);
}

#[test]
fn a_lost_tail_is_lost() {
    check(account(), &log()[..15], |verdict| verdict.lost = 5);
}

#[test]
fn a_record_appended_twice_is_a_duplicate() {
    let mut log = log();
    log.push((1, 10, record("b", 9)));
    check(account(), &log, |verdict| verdict.duplicated = 1);
    log.push((1, 11, record("b", 3)));
    check(account(), &log, |verdict| verdict.duplicated = 2);
}

#[test]
fn an_offset_given_twice_is_a_duplicate() {
    let mut log = log();
    log.insert(5, log[4]);
    check(account(), &log, |verdict| verdict.duplicated = 1);
}

#[test]
fn swapped_records_are_reordered_and_not_lost() {
    let mut log = log();
    (log[2].2, log[3].2) = (log[3].2, log[2].2);
    check(account(), &log, |verdict| verdict.reordered = 2);
}

#[test]
fn a_record_acknowledged_out_of_its_keys_order_is_reordered() {
    let mut account = Account::new(1);
    account.acknowledge(0, 0, record("a", 1));
    account.acknowledge(0, 1, record("a", 0));
    check(account, &[(0, 0, record("a", 1)), (0, 1, record("a", 0))], |verdict| verdict.reordered = 1);
}

#[test]
fn changed_bytes_are_corruption_and_loss() {
    let mut log = log();
    log[7].2 = Record::new(b"a", 7, b"something else");
    check(account(), &log, |verdict| {
        verdict.lost = 1;
        verdict.corrupted = 1;
    });
}

#[test]
fn a_record_that_nobody_sent_is_a_phantom() {
    let mut log = log();
    log.push((0, 10, record("c", 0)));
    check(account(), &log, |verdict| verdict.phantom = 1);
}

#[test]
fn a_record_in_doubt_may_be_there_once_or_not_at_all() {
    let doubtful = || {
        let mut account = account();
        account.in_doubt(record("a", 10));
        account
    };
    let mut log = log();
    check(doubtful(), &log, |verdict| verdict.in_doubt = 1);
    log.push((0, 10, record("a", 10)));
    check(doubtful(), &log, |verdict| (verdict.in_doubt, verdict.in_doubt_found) = (1, 1));
    log.push((0, 11, record("a", 10)));
    check(doubtful(), &log, |verdict| {
        (verdict.in_doubt, verdict.in_doubt_found, verdict.duplicated) = (1, 1, 1);
    });
}

#[test]
fn a_record_in_doubt_after_a_later_one_is_reordered() {
    let mut account = account();
    account.in_doubt(record("d", 0));
    account.acknowledge(0, 10, record("d", 1));
    let mut log = log();
    log.push((0, 10, record("d", 1)));
    log.push((0, 11, record("d", 0)));
    check(account, &log, |verdict| (verdict.in_doubt, verdict.in_doubt_found, verdict.reordered) = (1, 1, 1));
}

#[test]
fn a_record_acknowledged_without_an_offset_must_be_somewhere_once() {
    let unplaced = || {
        let mut account = account();
        account.acknowledge_unplaced(record("a", 10));
        account
    };
    let mut log = log();
    check(unplaced(), &log, |verdict| verdict.lost = 1);
    log.push((0, 10, record("a", 10)));
    check(unplaced(), &log, |_| {});
    log.push((0, 11, record("a", 10)));
    check(unplaced(), &log, |verdict| verdict.duplicated = 1);
}

#[test]
fn one_offset_promised_to_two_records_loses_one() {
    let mut account = account();
    account.acknowledge(0, 9, record("e", 0));
    check(account, &log(), |verdict| verdict.lost = 1);
}

#[test]
fn an_absurd_offset_takes_no_memory() {
    let mut account = account();
    account.acknowledge(0, u64::MAX, record("f", 0));
    check(account, &log(), |verdict| verdict.lost = 1);

    let mut account = self::account();
    account.acknowledge(0, 1 << 60, record("f", 0));
    let mut log = log();
    log.push((0, 1 << 60, record("f", 0)));
    check(account, &log, |_| {});
}

#[test]
fn accounts_of_two_tasks_add_up() {
    let mut sum = Account::new(2);
    let mut other = Account::new(2);
    for (partition, offset, record) in log() {
        if offset % 2 == 0 { &mut sum } else { &mut other }.acknowledge(partition, offset, record);
    }
    other.in_doubt(record("g", 0));
    sum.absorb(other);
    check(sum, &log(), |verdict| verdict.in_doubt = 1);
}

#[test]
fn equal_lines_are_two_records() {
    assert_ne!(Record::new(b"k", 1, b"}").mark, Record::new(b"k", 2, b"}").mark);
    assert_ne!(Record::new(b"k", 1, b"}").mark, Record::new(b"l", 1, b"}").mark);
}
