//! Waiting for conditions.

use std::time::{Duration, Instant};

use super::{Error, Result, program::check_interrupted};

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(150);

/// What a look at a condition found: what was waited for, or why it is not there yet.
pub type Look<T> = std::result::Result<T, String>;

/// Waits until the condition holds. An error of the look counts as not yet: what is being killed does not answer.
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<Look<T>>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        check_interrupted()?;
        let last = match look() {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(not_yet)) => not_yet,
            Err(error @ (Error::Interrupted | Error::Broken(_))) => return Err(error),
            Err(error) => error.to_string(),
        };
        if Instant::now() >= deadline {
            return Err(Error::Waited { what: what.to_owned(), limit, last });
        }
        std::thread::sleep(LOOK);
    }
}

/// Watches a condition for some time: it must hold at every look.
pub fn stays(what: &str, time: Duration, mut look: impl FnMut() -> Result<Look<()>>) -> Result {
    let end = Instant::now() + time;
    while Instant::now() < end {
        check_interrupted()?;
        if let Err(reason) = look()? {
            return Err(Error::broken(format!("{what} did not last: {reason}")));
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_says_what_it_waited_for_and_how_far_it_came() {
        let mut looks = 0;
        let found = until("three looks", Duration::from_mins(1), || {
            looks += 1;
            Ok(if looks == 3 { Ok(looks) } else { Err(format!("{looks} looks")) })
        });
        assert_eq!(found.unwrap(), 3);
        let error = until::<()>("rain", Duration::ZERO, || Ok(Err("sun".to_owned()))).unwrap_err().to_string();
        assert_eq!(error, "waited 0 s for rain; at last: sun");
    }

    #[test]
    fn what_must_last_is_looked_at_again() {
        let mut looks = 0;
        let look = || {
            looks += 1;
            Ok(if looks < 2 { Ok(()) } else { Err("gone".to_owned()) })
        };
        assert!(stays("it", Duration::from_mins(1), look).is_err());
        assert!(stays("it", Duration::from_millis(1), || Ok(Ok(()))).is_ok());
    }
}
