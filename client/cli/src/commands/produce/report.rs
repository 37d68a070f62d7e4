//! What `holdfast produce` tells at its end.

use std::time::Duration;

use serde_json::json;

use holdfast_checker::text::{counted, grouped};
use holdfast_client::producer::CloseReport;

use super::{
    input::Sources,
    outcomes::{Outcomes, Place, Taken},
};
use crate::{
    exit::{Code, Failure, Result},
    output::{Output, note, print_json},
};

/// The account of one run.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) topic: String,
    pub(super) sources: Sources,
    /// Records that were given to the producer.
    pub(super) sent: u64,
    /// Records that were read and not given to it.
    pub(super) left: u64,
    pub(super) counts: CloseReport,
    pub(super) outcomes: Outcomes,
    /// Why nothing was sent from some record on.
    pub(super) stopped_by: Option<Failure>,
    /// A broker that cannot be reached, as the last attempt ended.
    pub(super) unreachable: Option<holdfast_client::Error>,
    pub(super) interrupted: Option<Code>,
    pub(super) time: Duration,
}

impl Report {
    /// Prints the account, and fails unless all of the input is delivered.
    pub(super) fn tell(self, output: Output) -> Result {
        if output == Output::Json {
            print_json(&self.json());
        } else if self.counts.delivered > 0 {
            note(delivered(&self.topic, &self.outcomes));
        } else if self.sent == 0 && self.stopped_by.is_none() && self.interrupted.is_none() {
            note("nothing was sent: the input is empty");
        }
        self.verdict()
    }

    fn json(&self) -> serde_json::Value {
        let partitions = self.outcomes.taken.iter().map(|(partition, taken)| {
            json!({
                "partition": partition,
                "records": taken.records,
                "first_offset": taken.offsets.map(|(first, _)| first),
                "last_offset": taken.offsets.map(|(_, last)| last),
            })
        });
        let problem = self.outcomes.first_problem.as_ref().map(|(place, error)| {
            json!({ "source": self.sources.name(place.source), "record": place.number, "error": error.to_string() })
        });
        json!({
            "sent": self.sent,
            "delivered": self.counts.delivered,
            "not_appended": self.counts.not_appended,
            "in_doubt": self.counts.in_doubt,
            "not_sent": self.left,
            "seconds": self.time.as_secs_f64(),
            "partitions": partitions.collect::<Vec<_>>(),
            "first_problem": problem,
            "stopped_by": self.stopped_by.as_ref().map(ToString::to_string),
        })
    }

    fn verdict(self) -> Result {
        let CloseReport { delivered, not_appended, in_doubt } = self.counts;
        let mut said = Vec::new();
        if in_doubt > 0 {
            said.push(format!(
                "{} of {} records are in doubt: they may be in the log",
                grouped(in_doubt),
                grouped(self.sent)
            ));
        }
        if not_appended > 0 {
            said.push(format!("{} of {} records were refused", grouped(not_appended), grouped(self.sent)));
        }
        let unknown = self.sent.saturating_sub(self.outcomes.known);
        if unknown > 0 {
            said.push(format!("what became of {} of {} records was not told", grouped(unknown), grouped(self.sent)));
        }
        if let Some((place, error)) = &self.outcomes.first_problem {
            said.push(format!("the first: {}: {error}", name(&self.sources, *place)));
        }
        let problem = self.problem(unknown);
        if let Some(error) = self.unreachable.filter(|_| problem.is_some()) {
            said.push(Failure::from(error).message);
        }
        if let Some(failure) = &self.stopped_by {
            said.push(failure.to_string());
            said.push(format!("{} before it are delivered, nothing behind it was sent", grouped(delivered)));
        }
        if let Some(code) = self.interrupted {
            said.push(format!("interrupted; {} delivered", counted(delivered, "record")));
            if self.left > 0 {
                let were = if self.left == 1 { "was" } else { "were" };
                said.push(format!("{} more {were} read and not sent", grouped(self.left)));
            }
            let code = problem.filter(|code| *code == Code::InDoubt).unwrap_or(code);
            return Err(Failure::new(code, said.join("; ")));
        }
        let code = match (problem, self.stopped_by) {
            (Some(Code::InDoubt), _) => Code::InDoubt,
            (_, Some(failure)) => failure.code,
            (Some(code), None) => code,
            (None, None) => return Ok(()),
        };
        Err(Failure::new(code, said.join("; ")))
    }

    /// The worst that became of a record, by the producer's counts and by what each record's own outcome said: neither
    /// alone is believed that all is delivered.
    fn problem(&self, unknown: u64) -> Option<Code> {
        let first = self.outcomes.first_problem.as_ref().map(|(_, error)| error.is_in_doubt());
        if self.counts.in_doubt + unknown > 0 || first == Some(true) {
            return Some(Code::InDoubt);
        }
        (self.counts.not_appended > 0 || first.is_some()).then_some(Code::Error)
    }
}

/// A record's place as people know it.
pub(super) fn name(sources: &Sources, place: Place) -> String {
    format!("{}, record {}", sources.name(place.source), place.number)
}

/// Where the records went, in one line.
fn delivered(topic: &str, outcomes: &Outcomes) -> String {
    let records = outcomes.taken.values().map(|taken| taken.records).sum();
    let what = counted(records, "record");
    let mut partitions = outcomes.taken.iter();
    match (partitions.next(), partitions.next()) {
        (Some((partition, Taken { offsets: Some((first, last)), .. })), None) if first == last => {
            format!("{what} → {topic}-{partition}@{first}")
        }
        (Some((partition, Taken { offsets: Some((first, last)), .. })), None) => {
            format!("{what} → {topic}-{partition}@{first} to {last}")
        }
        (Some((partition, _)), None) => format!("{what} → {topic}-{partition}"),
        _ => format!("{what} → {topic}, {} partitions", outcomes.taken.len()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use holdfast_client::producer::Error;
    use holdfast_proto::error::ErrorCode;

    use super::*;

    fn report(counts: [u64; 3]) -> Report {
        let [delivered, not_appended, in_doubt] = counts;
        let sent = delivered + not_appended + in_doubt;
        Report {
            topic: "t".to_owned(),
            sources: Sources::new(&[PathBuf::from("f")]),
            sent,
            left: 0,
            counts: CloseReport { delivered, not_appended, in_doubt },
            outcomes: Outcomes { known: sent, ..Outcomes::default() },
            stopped_by: None,
            unreachable: None,
            interrupted: None,
            time: Duration::ZERO,
        }
    }

    #[track_caller]
    fn check(report: Report, code: Code, parts: &[&str]) {
        let failure = report.verdict().unwrap_err();
        assert_eq!(failure.code, code, "{failure}");
        for part in parts {
            assert!(failure.message.contains(part), "{part} is missing in: {failure}");
        }
    }

    #[test]
    fn an_error_about_a_record_names_its_place() {
        report([5, 0, 0]).verdict().unwrap();
        let refused = (Place { source: 0, number: 7 }, Error::NotAppended { code: ErrorCode::MessageTooLarge });
        let outcomes = Outcomes { first_problem: Some(refused), known: 7, ..Outcomes::default() };
        check(Report { outcomes, ..report([5, 2, 0]) }, Code::Error, &["2 of 7 records were refused", "f, record 7: "]);
        let stopped_by = Some(Failure::error("f, record 6: too large"));
        let parts = ["f, record 6: too large; 5 before it are delivered, nothing behind it was sent"];
        check(Report { stopped_by, ..report([5, 0, 0]) }, Code::Error, &parts);
    }

    #[test]
    fn a_count_that_says_delivered_hides_no_record_that_was_not() {
        let told = |first: Option<Error>, known| {
            let first_problem = first.map(|error| (Place { source: 0, number: 2 }, error));
            Report { outcomes: Outcomes { first_problem, known, ..Outcomes::default() }, ..report([5, 0, 0]) }
        };
        let refused = Error::NotAppended { code: ErrorCode::MessageTooLarge };
        check(told(Some(refused), 5), Code::Error, &["the first: f, record 2: "]);
        let in_doubt = Error::InDoubt { code: ErrorCode::RequestTimedOut };
        check(told(Some(in_doubt), 5), Code::InDoubt, &["the first: f, record 2: "]);
        check(told(None, 3), Code::InDoubt, &["what became of 2 of 5 records was not told"]);
        let stopped = Report { interrupted: Some(Code::Interrupted), ..told(None, 4) };
        check(stopped, Code::InDoubt, &["what became of 1 of 5 records", "interrupted"]);
    }

    #[test]
    fn an_interruption_says_what_is_delivered_and_what_is_not() {
        let stopped = |counts, left| Report { interrupted: Some(Code::Interrupted), left, ..report(counts) };
        check(stopped([0, 0, 0], 0), Code::Interrupted, &["interrupted; 0 records delivered"]);
        check(stopped([5, 0, 0], 3), Code::Interrupted, &["5 records delivered; 3 more were read and not sent"]);
        check(stopped([5, 0, 2], 0), Code::InDoubt, &["2 of 7 records are in doubt"]);
    }
}
