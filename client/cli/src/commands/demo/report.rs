//! What the demo tells at its end.

use std::time::Duration;

use serde_json::json;

use holdfast_checker::{account::Verdict, text::grouped};
use holdfast_local::faults::FaultReport;

use crate::exit::Code;

/// Everything that the demo found.
#[derive(Debug)]
pub struct Report {
    /// What was sent, read and found.
    pub verdict: Verdict,
    /// Records sent, whatever became of them.
    pub records: u64,
    /// Records that the cluster refused for good.
    pub refused: u64,
    /// Why the first record was not acknowledged.
    pub first_problem: Option<String>,
    /// The faults in the order in which they happened.
    pub faults: Vec<FaultReport>,
    /// The longest pause between acknowledgements of any partition.
    pub longest_pause: Duration,
    /// How long was produced.
    pub produced_in: Duration,
    /// How long was read.
    pub read_in: Duration,
}

impl Report {
    /// The exit code: loss before doubt.
    pub fn code(&self) -> Code {
        if !self.verdict.is_clean() {
            Code::Loss
        } else if self.refused > 0 || self.verdict.in_doubt > 0 {
            Code::InDoubt
        } else {
            Code::Ok
        }
    }

    /// One line of `key=value` pairs for scripts, the last that the demo prints.
    pub fn summary(&self) -> String {
        let Verdict { acked, read, lost, duplicated, reordered, .. } = self.verdict;
        format!(
            "acked={acked} read={read} lost={lost} duplicated={duplicated} reordered={reordered} failovers={} longest_pause_ms={}",
            self.faults.len(),
            self.longest_pause.as_millis()
        )
    }

    /// The report, for people; the last line apart.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![String::new()];
        let verdict = &self.verdict;
        if verdict.is_clean() {
            let equal =
                if verdict.acked == verdict.read { "each where it was acknowledged" } else { "and those in doubt" };
            lines.push(format!("every acknowledged record is there, once, in order, {equal}"));
        } else {
            lines.push("RECORDS ARE MISSING OR WRONG:".to_owned());
            lines.extend(verdict.examples.iter().map(|example| format!("  {example}")));
        }
        for (count, what) in [
            (verdict.corrupted, "corrupted"),
            (verdict.phantom, "phantom: read, but never sent"),
            (self.refused, "refused by the cluster, and certainly not there"),
            (verdict.in_doubt, "in doubt: neither acknowledged nor refused"),
            (verdict.in_doubt_found, "of those in doubt are there"),
        ] {
            if count > 0 {
                lines.push(format!("{} records {what}", grouped(count)));
            }
        }
        lines
            .extend(self.first_problem.iter().map(|problem| format!("the first that was not acknowledged: {problem}")));
        let takeovers = self.faults.iter().map(|fault| fault.takeover);
        if let Some(longest) = takeovers.max() {
            lines.push(format!(
                "{} nodes killed with SIGKILL under load; the longest take-over took {} ms, the longest pause of a partition {} ms",
                self.faults.len(),
                longest.as_millis(),
                self.longest_pause.as_millis()
            ));
        }
        lines
    }

    /// The report, for scripts.
    pub fn json(&self) -> serde_json::Value {
        json!({
            "verdict": self.verdict,
            "records": self.records,
            "refused": self.refused,
            "faults": self.faults,
            "failovers": self.faults.len(),
            "longest_pause_ms": self.longest_pause.as_millis() as u64,
            "produced_s": self.produced_in.as_secs_f64(),
            "read_s": self.read_in.as_secs_f64(),
        })
    }
}

/// One fault, as it is told when it has healed.
pub fn fault_line(fault: &FaultReport) -> String {
    let role = fault
        .partition
        .map_or_else(|| "the active controller".to_owned(), |partition| format!("leader of partition {partition}"));
    format!(
        "kill -9 {} ({role}): taken over after {} ms; started again, in sync after {:.1} s",
        fault.node,
        fault.takeover.as_millis(),
        fault.recovery.as_secs_f64()
    )
}

#[cfg(test)]
mod tests {
    use holdfast_local::NodeName;

    use super::*;

    fn report(verdict: Verdict) -> Report {
        let takeover = Duration::from_millis(612);
        let fault = FaultReport { node: NodeName::broker(2), partition: Some(0), takeover, recovery: takeover };
        Report {
            verdict,
            records: 10,
            refused: 0,
            first_problem: None,
            faults: vec![fault.clone(), fault],
            longest_pause: Duration::from_micros(701_900),
            produced_in: Duration::from_secs(1),
            read_in: Duration::from_secs(1),
        }
    }

    #[test]
    fn the_last_line_is_exactly_as_documented() {
        let report = report(Verdict { acked: 10, read: 10, ..Verdict::default() });
        let expected = "acked=10 read=10 lost=0 duplicated=0 reordered=0 failovers=2 longest_pause_ms=701";
        assert_eq!(report.summary(), expected);
        assert_eq!(report.code(), Code::Ok);
    }

    #[test]
    fn anything_wrong_ends_with_3_and_doubt_with_4() {
        for verdict in [
            Verdict { lost: 1, ..Verdict::default() },
            Verdict { duplicated: 1, ..Verdict::default() },
            Verdict { reordered: 1, ..Verdict::default() },
            Verdict { phantom: 1, in_doubt: 1, ..Verdict::default() },
        ] {
            assert_eq!(report(verdict).code(), Code::Loss);
        }
        assert_eq!(report(Verdict { in_doubt: 1, ..Verdict::default() }).code(), Code::InDoubt);
    }

    #[test]
    fn a_fault_is_told_in_one_line() {
        let line = fault_line(&report(Verdict::default()).faults[0]);
        assert_eq!(
            line,
            "kill -9 broker-2 (leader of partition 0): taken over after 612 ms; started again, in sync after 0.6 s"
        );
    }
}
