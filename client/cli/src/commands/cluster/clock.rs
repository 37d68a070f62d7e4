//! Brokers at which retention by time stands still, because they do not trust their wall clock.

use serde_json::{Value, json};

use holdfast_proto::v1::{BrokerInfo, ClockDistrust, ClockDistrustReason as Reason};

/// That it stands still, why, and for how long; `None` if it goes on, or the broker has only just started.
pub(super) fn notice(broker: &BrokerInfo) -> Option<String> {
    let distrust = broker.clock_distrust.as_ref()?;
    let by = time(distrust.by_ms.saturating_abs());
    let (ahead, forwards) = if distrust.by_ms < 0 { ("behind", "back") } else { ("ahead of", "forwards") };
    let why = match distrust.reason() {
        Reason::Unspecified | Reason::Unconfirmed => return None,
        Reason::Started => "its machine was started again".to_owned(),
        Reason::Jumped => format!("its wall clock jumped {forwards} by {by}"),
        Reason::Differs => {
            format!("its wall clock is {by} {ahead} those of most controllers and brokers; set it right")
        }
        Reason::Split => {
            "the wall clocks of controllers and brokers differ, and none is that of most; set them right".to_owned()
        }
        Reason::Unheard => "half of the controllers and brokers or more do not say what time it is".to_owned(),
    };
    let left = match i64::try_from(distrust.left_ms).unwrap_or(i64::MAX) {
        0 => String::new(),
        left_ms => format!(", for {} yet", time(left_ms)),
    };
    Some(format!("broker {}: retention by time stands still{left}: {why}", broker.broker_id))
}

/// A time in the unit that people count it in.
fn time(ms: i64) -> String {
    const UNITS: [(&str, f64); 4] = [("days", 86_400_000.0), ("h", 3_600_000.0), ("min", 60_000.0), ("s", 1_000.0)];
    let ms = ms as f64;
    let (unit, long) = UNITS.into_iter().find(|(_, long)| ms >= 2.0 * long).unwrap_or(UNITS[3]);
    format!("{:.1} {unit}", ms / long)
}

/// The same for programs; null where it goes on.
pub(super) fn as_json(broker: &BrokerInfo) -> Value {
    let Some(distrust) = &broker.clock_distrust else { return Value::Null };
    let ClockDistrust { by_ms, left_ms, .. } = distrust;
    json!({ "reason": reason(distrust.reason()), "by_ms": by_ms, "left_ms": left_ms })
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Unspecified => "unknown",
        Reason::Unconfirmed => "unconfirmed",
        Reason::Started => "started",
        Reason::Jumped => "jumped",
        Reason::Differs => "differs",
        Reason::Split => "split",
        Reason::Unheard => "unheard",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(reason: Reason, by_ms: i64, left_ms: u64) -> BrokerInfo {
        let clock_distrust = Some(ClockDistrust { reason: reason.into(), by_ms, left_ms });
        BrokerInfo { broker_id: 2, clock_distrust, ..BrokerInfo::default() }
    }

    #[test]
    fn why_and_for_how_long_is_told() {
        let begin = "broker 2: retention by time stands still";
        let cases = [
            (broker(Reason::Jumped, -1_500, 9_000), ", for 9.0 s yet: its wall clock jumped back by 1.5 s"),
            (
                broker(Reason::Differs, 60_500, 0),
                ": its wall clock is 60.5 s ahead of those of most controllers and brokers; set it right",
            ),
            (broker(Reason::Started, 0, 100), ", for 0.1 s yet: its machine was started again"),
        ];
        for (broker, end) in cases {
            assert_eq!(notice(&broker), Some(format!("{begin}{end}")));
        }
        let far = notice(&broker(Reason::Differs, 315_360_000_000, 598_000)).expect("a notice");
        assert!(far.contains(", for 10.0 min yet: its wall clock is 3650.0 days ahead of those"), "{far}");
        assert!(notice(&broker(Reason::Split, 0, 0)).is_some_and(|text| text.contains("none is that of most")));
        assert_eq!(notice(&broker(Reason::Unconfirmed, 0, 0)), None, "it has only just started");
        assert_eq!(notice(&BrokerInfo::default()), None);
        assert_eq!(as_json(&broker(Reason::Differs, 7, 0)), json!({ "reason": "differs", "by_ms": 7, "left_ms": 0 }));
        assert!(as_json(&BrokerInfo::default()).is_null());
    }
}
