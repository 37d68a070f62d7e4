//! `holdfast audit verify`: is all that audits wrote before still there?

use serde_json::json;

use holdfast_checker::readback;

use super::{flags::VerifyArgs, live::Checker, one_run::connect_within};
use crate::{
    connect::Connect,
    exit::{Code, Failure, Result},
    output::{Output, note, print_json},
    width::say_long,
};

pub(super) async fn run(connect: &Connect, args: &VerifyArgs, output: Output) -> Result {
    let client = connect_within(connect, args.timeout).await?;
    let mut checker = Checker::new(super::load::KEY_PREFIX);
    let each = |batch| checker.take(&batch);
    readback::read_all(&client, &args.topic, each, |told| note(told.to_string())).await?;
    let foreign = checker.foreign;
    let tally = checker.finish();
    let absent = args.expect.unwrap_or(0).saturating_sub(tally.read);
    if output == Output::Json {
        print_json(&json!({ "topic": args.topic, "tally": tally, "foreign": foreign, "fewer_than_expected": absent }));
    } else {
        tally.examples.iter().for_each(note);
        let line = format!(
            "keys={} read={} lost={} duplicated={} reordered={} unfinished={} excused={} foreign={foreign}",
            tally.keys, tally.read, tally.lost, tally.duplicated, tally.reordered, tally.unfinished, tally.excused
        );
        say_long(&line, " ");
    }
    if tally.keys == 0 {
        return Err(Failure::new(Code::Loss, format!("no audit's records are in {}", args.topic)));
    }
    if absent > 0 {
        return Err(Failure::new(Code::Loss, format!("{absent} records fewer than expected")));
    }
    if !tally.is_clean() {
        return Err(Failure::new(Code::Loss, "records are missing or wrong"));
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
