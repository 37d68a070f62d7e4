//! The flags by which moves are started.

use clap::{ArgAction, Args};

use holdfast_client::admin::{Admin, Move};

use super::{MoveOutcome, Throttle, ask, run};
use crate::{exit::Result, signals::Signals};

/// How moves are made.
#[derive(Clone, Copy, Debug, Args)]
pub struct Start {
    /// Most that each broker copies for moves until they are done, as 50MB/s, or none [default: as it is].
    #[arg(long, value_name = "RATE")]
    throttle: Option<Throttle>,
    /// Wait until everything has moved, or start it and end.
    #[arg(
        long,
        value_name = "YES",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true"
    )]
    pub wait: bool,
}

impl Start {
    /// Makes the moves, or starts them without waiting for their ends; then those that were started count as done.
    pub async fn make(self, admin: &Admin, moves: &[Move]) -> Result<MoveOutcome> {
        if self.wait {
            return run(admin, moves, self.throttle, &mut Signals::listen()?).await;
        }
        let limit = self.throttle.map(|throttle| throttle.bytes_per_second);
        let (taken, problems) = ask(admin, moves, limit).await?;
        Ok(MoveOutcome { done: taken.len(), problems })
    }
}
