//! What there is to tell of the wall clock, and of retention by time, which rests on it.

use holdfast_node::metrics::Samples;

use super::table;
use crate::here::{context::Context, time_trust::Distrusted};

/// Looks at the clocks once.
pub(super) fn read(context: &Context, samples: &mut Samples) {
    let (distrusted, ahead_ms) = {
        let mut trust = context.time_trust.lock();
        (trust.look(holdfast_log::look()).err(), trust.ahead_ms())
    };
    samples.put(&table::RETENTION_FROZEN, distrusted.is_some());
    samples.put(&table::THAW, seconds(distrusted.map_or(0, left_ms)));
    if let Some(why) = distrusted {
        let (reason, next) = words(why);
        samples.put_by(&table::CLOCK_TROUBLE, [reason, next], true);
    }
    if let Some(ahead_ms) = ahead_ms {
        samples.put(&table::CLOCK_AHEAD, seconds(ahead_ms));
    }
}

fn left_ms(why: Distrusted) -> i64 {
    match why {
        Distrusted::Started { left_ms } | Distrusted::Jumped { left_ms, .. } => left_ms,
        Distrusted::Unconfirmed | Distrusted::Differs(_) | Distrusted::Split | Distrusted::Unheard => 0,
    }
}

/// Why it is not trusted, and what happens next, as the metrics have it.
fn words(why: Distrusted) -> (&'static str, &'static str) {
    let thaws = if left_ms(why) > 0 { "thaws" } else { "waits_for_controllers" };
    match why {
        Distrusted::Unconfirmed => ("unconfirmed", "waits_for_controllers"),
        Distrusted::Started { .. } => ("started", thaws),
        Distrusted::Jumped { .. } => ("jumped", thaws),
        Distrusted::Differs(_) => ("differs", "set_clock"),
        Distrusted::Split => ("split", "set_clocks"),
        Distrusted::Unheard => ("unheard", "waits_for_clocks"),
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_says_what_it_waits_for() {
        assert_eq!(words(Distrusted::Started { left_ms: 1 }), ("started", "thaws"));
        assert_eq!(words(Distrusted::Jumped { by_ms: -7, left_ms: 0 }), ("jumped", "waits_for_controllers"));
        assert_eq!(words(Distrusted::Differs(5)), ("differs", "set_clock"));
        assert!((seconds(left_ms(Distrusted::Jumped { by_ms: 1, left_ms: 1_500 })) - 1.5).abs() < f64::EPSILON);
    }
}
