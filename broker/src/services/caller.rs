//! Who asks. Every public method of a service takes it, so that what decides about permissions and quotas finds it
//! everywhere. The listeners make it.

use std::fmt;

use holdfast_node::incoming::Source;
use holdfast_proto::detail::ErrorDetail;

/// Longest name of a client that is kept, bytes.
const MAX_CLIENT_ID_BYTES: usize = 255;

/// As whom the caller is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Nobody has asked who it is.
    Anonymous,
}

/// Who made a call, as rules of access and logs name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// As whom it is known.
    pub principal: Principal,
    /// Where it comes from, if that is known: what it may take up of memory that is for all.
    pub source: Option<Source>,
    client_id: String,
}

impl Caller {
    /// A caller that nobody has asked who it is. `client_id` is the name that it gives itself, for logs and quotas: it
    /// proves nothing. One that is longer than 255 bytes or holds control characters counts as none.
    pub fn anonymous(client_id: &str) -> Self {
        let keeps = client_id.len() <= MAX_CLIENT_ID_BYTES && !client_id.contains(char::is_control);
        let client_id = if keeps { client_id.to_owned() } else { String::new() };
        Self { principal: Principal::Anonymous, source: None, client_id }
    }

    /// The same, coming from there.
    #[must_use]
    pub fn from_source(self, source: Option<Source>) -> Self {
        Self { source, ..self }
    }

    /// Notes a refusal, for those who look for the client that gets it wrong.
    pub(super) fn refused(&self, what: &'static str, error: &ErrorDetail) {
        tracing::debug!(caller = %self, what, %error, "refused");
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.principal {
            Principal::Anonymous => f.write_str("anonymous")?,
        }
        if self.client_id.is_empty() { Ok(()) } else { write!(f, " by '{}'", self.client_id) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_too_long_or_would_garble_a_log_is_none() {
        let longest = "x".repeat(MAX_CLIENT_ID_BYTES);
        assert_eq!(Caller::anonymous("app").to_string(), "anonymous by 'app'");
        assert_eq!(Caller::anonymous(&longest).client_id, longest);
        for none in ["", &format!("{longest}x"), "two\nlines"] {
            assert_eq!(Caller::anonymous(none).to_string(), "anonymous");
        }
    }
}
