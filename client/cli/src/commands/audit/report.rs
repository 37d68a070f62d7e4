//! The account of a run, and the lines that tell of it while it goes on.

use std::time::{Duration, Instant};

use serde_json::json;

use holdfast_checker::{account::Verdict, sequences::Tally};

use super::load::Gauges;
use crate::{
    exit::{Code, Failure, Result},
    output::{Output, note, print_json},
    width::say_long,
};

/// Everything that is told at the end.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) topic: String,
    pub(super) run_id: String,
    pub(super) verdict: Verdict,
    pub(super) live: Tally,
    pub(super) refused: u64,
    pub(super) first_problem: Option<String>,
    pub(super) longest_pause: Duration,
    pub(super) longest_partition_pause: Duration,
    pub(super) producing: Duration,
}

impl Report {
    /// Prints the account, and fails if a promise was broken.
    pub(super) fn tell(&self, output: Output) -> Result {
        if output == Output::Json {
            print_json(&self.json());
        } else {
            self.verdict.examples.iter().chain(&self.live.examples).for_each(note);
            if let Some(problem) = &self.first_problem {
                note(format!("the first record that was not delivered: {problem}"));
            }
            say_long(&self.line(), " ");
        }
        if !self.verdict.is_clean() {
            return Err(Failure::new(Code::Loss, "records are missing or wrong"));
        }
        if !self.live.is_clean() {
            return Err(Failure::new(Code::Loss, "the consumer that read along missed records or got wrong ones"));
        }
        if self.verdict.acked == 0 {
            return Err(Failure::error("nothing was acknowledged"));
        }
        Ok(())
    }

    fn line(&self) -> String {
        let Verdict { acked, read, lost, duplicated, reordered, in_doubt, corrupted, phantom, .. } = &self.verdict;
        let line = format!(
            "acked={acked} read={read} lost={lost} duplicated={duplicated} reordered={reordered} in_doubt={in_doubt} \
             refused={} longest_pause_ms={} longest_partition_pause_ms={} live_read={}",
            self.refused,
            self.longest_pause.as_millis(),
            self.longest_partition_pause.as_millis(),
            self.live.read
        );
        let strange =
            if corrupted + phantom > 0 { format!(" corrupted={corrupted} phantom={phantom}") } else { String::new() };
        line + &strange
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "topic": self.topic,
            "run": self.run_id,
            "acked": self.verdict.acked,
            "read": self.verdict.read,
            "lost": self.verdict.lost,
            "duplicated": self.verdict.duplicated,
            "reordered": self.verdict.reordered,
            "corrupted": self.verdict.corrupted,
            "phantom": self.verdict.phantom,
            "in_doubt": self.verdict.in_doubt,
            "in_doubt_found": self.verdict.in_doubt_found,
            "refused": self.refused,
            "first_problem": self.first_problem,
            "longest_pause_ms": self.longest_pause.as_millis() as u64,
            "longest_partition_pause_ms": self.longest_partition_pause.as_millis() as u64,
            "seconds": self.producing.as_secs_f64(),
            "live": self.live,
            "examples": self.verdict.examples,
        })
    }
}

/// One line of progress: what was acknowledged so far, the pause that goes on, and those that ended since the last line.
pub(super) fn progress_line(gauges: &Gauges, elapsed: Duration, now: Instant) -> String {
    format!(
        "t={} acked={} waiting={} pause_ms={} window_pause_ms={} window_partition_pause_ms={}",
        elapsed.as_secs(),
        gauges.watch.acked(),
        gauges.totals.waiting(),
        gauges.totals.pause(now).as_millis(),
        gauges.totals.take_window().as_millis(),
        gauges.watch.take_longest_pause().as_millis()
    )
}
