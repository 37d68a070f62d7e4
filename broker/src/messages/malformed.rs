//! An answer that a controller of this version would not have given.

use holdfast_proto::{convert, detail::ErrorDetail, error::ErrorCode};

/// Whether what was asked for was done, nobody knows: it is no fault of the request.
pub(crate) fn answer(error: &convert::Error) -> ErrorDetail {
    ErrorDetail::new(ErrorCode::UnknownServerError, format!("the controller's answer makes no sense: {error}"))
}

#[cfg(test)]
mod tests {
    use holdfast_proto::error::Outcome;

    use super::*;

    #[test]
    fn a_malformed_answer_leaves_open_what_was_done() {
        let detail = answer(&convert::Error::Missing { field: "topic" });
        assert_eq!((detail.outcome, detail.retriable), (Outcome::Unknown, false));
    }
}
