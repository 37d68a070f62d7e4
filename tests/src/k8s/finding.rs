//! What a scenario found, and whether it kept every promise.

use std::time::Duration;

use super::{Error, Result, load::Account};

/// What a scenario found.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// Counts and times, in words.
    pub detail: String,
    /// The account of its load.
    pub account: Account,
    /// What the pause must not exceed.
    pub bound: Duration,
}

impl Finding {
    /// Fails if a promise was broken.
    pub fn judge(&self) -> Result {
        let Account { acked, read, lost, duplicated, reordered, in_doubt, refused, .. } = self.account;
        let broken = |what: String| Err(Error::broken(what));
        if acked == 0 {
            return broken("nothing was acknowledged".to_owned());
        }
        if lost + duplicated + reordered > 0 || !self.account.clean {
            return broken(format!(
                "lost={lost} duplicated={duplicated} reordered={reordered}, acked={acked} read={read}"
            ));
        }
        if in_doubt + refused > 0 {
            return broken(format!("operations failed beyond retries: in_doubt={in_doubt} refused={refused}"));
        }
        let pause = Duration::from_millis(self.account.longest_partition_pause_ms);
        if pause > self.bound {
            return broken(format!("a partition paused for {} ms", pause.as_millis()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding() -> Finding {
        let account = Account { acked: 5, read: 5, clean: true, longest_partition_pause_ms: 900, ..Account::default() };
        Finding { account, bound: Duration::from_secs(1), ..Finding::default() }
    }

    #[test]
    fn every_broken_promise_fails_a_scenario() {
        assert!(finding().judge().is_ok());
        let broken: [fn(&mut Finding); 7] = [
            |it| it.account.lost = 1,
            |it| it.account.duplicated = 1,
            |it| it.account.reordered = 1,
            |it| it.account.in_doubt = 1,
            |it| it.account.clean = false,
            |it| it.account.acked = 0,
            |it| it.account.longest_partition_pause_ms = 1_001,
        ];
        for break_it in broken {
            let mut finding = finding();
            break_it(&mut finding);
            assert!(finding.judge().is_err(), "{finding:?}");
        }
    }
}
