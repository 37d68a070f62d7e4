//! Answers of the metadata machine that fit no question.

use holdfast_metadata::Response;
use holdfast_proto::{detail::ErrorDetail, error::ErrorCode};

/// The machine answered with another command's answer: a fault of this program.
pub(super) fn unexpected(answer: &Response) -> ErrorDetail {
    ErrorDetail::new(ErrorCode::UnknownServerError, format!("unexpected answer {answer:?}"))
}
