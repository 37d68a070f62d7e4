//! Who makes a call, and what it says of its way, as far as gRPC tells.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Request;

use holdfast_node::incoming::ConnectionInfo;
use holdfast_proto::forward;

use crate::services::{caller::Caller, hop::Hop};

/// How libraries name themselves, after the name of the program that uses them.
const LIBRARIES: [&str; 2] = ["tonic/", "grpc-"];

/// The caller. Its client id is what the program put before its library's name in the user agent.
pub(super) fn caller<T>(request: &Request<T>) -> Caller {
    let agent = request.metadata().get("user-agent").and_then(|agent| agent.to_str().ok());
    Caller::anonymous(client_id(agent.unwrap_or_default())).from_source(ConnectionInfo::source(request))
}

/// How far the call has come, and until when its caller waits.
pub(super) fn hop<T>(request: &Request<T>) -> Hop {
    let timeout = request.metadata().get("grpc-timeout").and_then(|timeout| timeout.to_str().ok());
    Hop {
        forwarded: request.metadata().contains_key(forward::FORWARDED),
        deadline: timeout.and_then(duration).and_then(|timeout| Instant::now().checked_add(timeout)),
    }
}

/// A time as gRPC writes it: at most eight digits and a unit.
fn duration(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3_600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

fn client_id(agent: &str) -> &str {
    let is_library = |at: &usize| {
        let begins = *at == 0 || agent[..*at].ends_with(' ');
        begins && LIBRARIES.iter().any(|library| agent[*at..].starts_with(library))
    };
    let end = agent.char_indices().map(|(at, _)| at).find(is_library).unwrap_or(agent.len());
    agent[..end].trim_end()
}

#[cfg(test)]
mod tests {
    use tonic::metadata::MetadataValue;

    use super::*;

    #[test]
    fn a_deadline_is_read_and_nonsense_is_none() {
        let seconds = Duration::from_secs;
        let cases = [("1S", seconds(1)), ("2M", seconds(120)), ("99999999m", Duration::from_millis(99_999_999))];
        for (text, expected) in cases {
            assert_eq!(duration(text), Some(expected), "{text}");
        }
        for nonsense in ["", "S", "5", "5s", "-1S", "123456789S", "1\u{e9}"] {
            assert_eq!(duration(nonsense), None, "{nonsense}");
        }
        let mut request = Request::new(());
        assert_eq!(hop(&request), Hop::default());
        request.set_timeout(seconds(5));
        request.metadata_mut().insert(forward::FORWARDED, MetadataValue::from_static("1"));
        let hop = hop(&request);
        assert!(hop.forwarded && hop.deadline.is_some_and(|deadline| deadline > Instant::now()));
    }

    #[test]
    fn the_program_is_named_and_not_its_library() {
        let cases = [
            ("orders tonic/0.14.2", "orders"),
            ("two words grpc-java-netty/1.60.0", "two words"),
            // Relayed by another broker.
            ("orders tonic/0.14.2 tonic/0.14.2", "orders"),
            ("tonic/0.14.2", ""),
            ("grpc-go/1.60.0 (linux)", ""),
            ("no-grpc-here", "no-grpc-here"),
            ("", ""),
        ];
        for (agent, expected) in cases {
            assert_eq!(client_id(agent), expected, "{agent}");
        }
        let mut request = Request::new(());
        assert_eq!(caller(&request), Caller::anonymous(""));
        request.metadata_mut().insert("user-agent", MetadataValue::from_static("orders tonic/0.14.2"));
        assert_eq!(caller(&request), Caller::anonymous("orders"));
    }
}
