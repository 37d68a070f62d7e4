//! Who makes a call, as far as gRPC tells.

use tonic::Request;

use crate::services::caller::Caller;

/// How libraries name themselves, after the name of the program that uses them.
const LIBRARIES: [&str; 2] = ["tonic/", "grpc-"];

/// The caller. Its client id is what the program put before its library's name in the user agent.
pub(super) fn caller<T>(request: &Request<T>) -> Caller {
    let agent = request.metadata().get("user-agent").and_then(|agent| agent.to_str().ok());
    Caller::anonymous(client_id(agent.unwrap_or_default()))
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
