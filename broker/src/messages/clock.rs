//! What is known of a broker's wall clock, as messages: its distrust goes up with heartbeats and comes back in the state of the
//! cluster, the verdict of most clocks comes down.

use holdfast_proto::v1::{BrokerSessionResponse, ClockDistrust, ClockDistrustReason as Reason, ClockVerdict};

use crate::here::time_trust::{Distrusted, Said};

/// Why a broker does not trust its wall clock.
pub(crate) fn distrust_message(why: Distrusted) -> ClockDistrust {
    let unsigned = |ms: i64| u64::try_from(ms).unwrap_or(0);
    let (reason, by_ms, left_ms) = match why {
        Distrusted::Unconfirmed => (Reason::Unconfirmed, 0, 0),
        Distrusted::Started { left_ms } => (Reason::Started, 0, left_ms),
        Distrusted::Jumped { by_ms, left_ms } => (Reason::Jumped, by_ms, left_ms),
        Distrusted::Differs(by_ms) => (Reason::Differs, by_ms, 0),
        Distrusted::Split => (Reason::Split, 0, 0),
        Distrusted::Unheard => (Reason::Unheard, 0, 0),
    };
    ClockDistrust { reason: reason.into(), by_ms, left_ms: unsigned(left_ms) }
}

/// The same, read; one for a reason that this build does not know is as one that nobody confirmed.
pub(crate) fn distrust(message: &ClockDistrust) -> Distrusted {
    let left_ms = i64::try_from(message.left_ms).unwrap_or(i64::MAX);
    match message.reason() {
        Reason::Unspecified | Reason::Unconfirmed => Distrusted::Unconfirmed,
        Reason::Started => Distrusted::Started { left_ms },
        Reason::Jumped => Distrusted::Jumped { by_ms: message.by_ms, left_ms },
        Reason::Differs => Distrusted::Differs(message.by_ms),
        Reason::Split => Distrusted::Split,
        Reason::Unheard => Distrusted::Unheard,
    }
}

/// What the answer to a heartbeat says of this broker's clock; `None`: nothing, or no message that answers one.
pub(crate) fn said(answer: &BrokerSessionResponse) -> Option<Said> {
    let wall_ms = i64::try_from(answer.wall_ms).ok().filter(|wall_ms| *wall_ms > 0)?;
    Some(match answer.clock_verdict() {
        ClockVerdict::Unspecified => Said::Time(wall_ms),
        ClockVerdict::Agrees => Said::Agrees(answer.clock_ahead_ms),
        ClockVerdict::Differs => Said::Differs(answer.clock_ahead_ms),
        ClockVerdict::Split => Said::Split,
        ClockVerdict::Unheard => Said::Unheard,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distrust_comes_back_as_it_was_sent() {
        for why in [
            Distrusted::Unconfirmed,
            Distrusted::Started { left_ms: 3 },
            Distrusted::Jumped { by_ms: -4, left_ms: 5 },
            Distrusted::Differs(-6),
            Distrusted::Split,
            Distrusted::Unheard,
        ] {
            assert_eq!(distrust(&distrust_message(why)), why);
        }
        let newer = ClockDistrust { reason: 99, by_ms: 1, left_ms: 2 };
        assert_eq!(distrust(&newer), Distrusted::Unconfirmed);
    }

    #[test]
    fn an_answer_without_a_verdict_is_of_an_earlier_build_and_says_what_time_it_is() {
        let answer = |wall_ms, verdict: ClockVerdict| BrokerSessionResponse {
            wall_ms,
            clock_verdict: verdict.into(),
            clock_ahead_ms: -8,
            ..BrokerSessionResponse::default()
        };
        assert_eq!(said(&answer(7, ClockVerdict::Unspecified)), Some(Said::Time(7)));
        assert_eq!(said(&answer(7, ClockVerdict::Agrees)), Some(Said::Agrees(-8)));
        assert_eq!(said(&answer(7, ClockVerdict::Differs)), Some(Said::Differs(-8)));
        assert_eq!(said(&answer(7, ClockVerdict::Split)), Some(Said::Split));
        assert_eq!(said(&answer(7, ClockVerdict::Unheard)), Some(Said::Unheard));
        assert_eq!(said(&answer(0, ClockVerdict::Unspecified)), None, "changes, and no answer to a heartbeat");
    }
}
