//! Every error survives the wire; statuses of others are told apart.

use super::*;

/// As a client gets it: through the headers of an HTTP response.
fn through_the_wire(status: &Status) -> Status {
    let response: http::Response<()> = status.clone().into_http();
    Status::from_header_map(response.headers()).unwrap()
}

mod http {
    //! The crate that tonic's signatures name.
    pub(super) use tonic::codegen::http::Response;
}

#[test]
fn every_error_survives_the_wire() {
    for code in ErrorCode::ALL {
        let detail = ErrorDetail::from(*code);
        let status = through_the_wire(&to_status(&detail));
        assert_ne!(status.code(), Code::Ok);
        assert_eq!(status.message(), code.sentence());
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), (code.name(), "holdfast"));
        assert_eq!(from_status(&status), Some(detail.clone()));
        assert_eq!(classify(&status), (Origin::Node, detail));
    }
}

#[test]
fn hints_and_an_outcome_of_its_own_survive_too() {
    let detail = ErrorDetail::new(ErrorCode::NotLeaderOrFollower, "ask the leader of t-0, größer")
        .with_leader(LeaderHint {
            broker_id: BrokerId(3),
            leader_epoch: LeaderEpoch(7),
            address: "b3.example:9092".to_owned(),
        })
        .with_controller(ControllerHint { id: ControllerId(u64::MAX), address: "[::1]:9090".to_owned() })
        .with_outcome(Outcome::Unknown);
    assert_eq!(from_status(&through_the_wire(&to_status(&detail))), Some(detail));
}

#[test]
fn a_long_message_is_cut_at_a_character() {
    let status = status(ErrorCode::InvalidRequest, "ü".repeat(5000));
    assert_eq!(status.message(), "ü".repeat(512));
}

#[test]
fn an_error_of_a_newer_node_keeps_what_it_says() {
    let metadata = [(key::NUMBER, "20000"), (key::RETRIABLE, "true"), (key::OUTCOME, NOT_APPENDED)];
    let metadata: HashMap<_, _> = metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let details = ErrorDetails::with_error_info("FROM_THE_FUTURE", DOMAIN, metadata);
    let detail = from_status(&Status::with_error_details(Code::Aborted, "later", details)).unwrap();
    assert_eq!(detail.code, ErrorCode::UnknownServerError);
    assert!(detail.retriable);
    assert_eq!(detail.outcome, Outcome::NotAppended);
}

#[test]
fn a_status_of_others_is_not_ours() {
    let details = ErrorDetails::with_error_info("NOT_LEADER_OR_FOLLOWER", "example.com", HashMap::new());
    assert_eq!(from_status(&Status::with_error_details(Code::Aborted, "", details)), None);
    assert_eq!(from_status(&Status::with_details(Code::Aborted, "", vec![0xff; 40].into())), None);
    assert_eq!(from_status(&Status::new(Code::Unavailable, "OVERLOADED")), None);
}

#[test]
fn what_the_library_refuses_gets_a_name() {
    let too_large = named(&Status::new(Code::OutOfRange, "found 20 bytes, the limit is: 10 bytes")).unwrap();
    assert_eq!(too_large.code(), Code::ResourceExhausted, "OUT_OF_RANGE speaks of offsets alone");
    let detail = from_status(&through_the_wire(&too_large)).unwrap();
    assert_eq!((detail.code, detail.outcome), (ErrorCode::MessageTooLarge, Outcome::NotAppended));
    assert!(detail.message.contains("20 bytes"), "{detail}");
    let malformed = named(&Status::new(Code::Internal, "invalid wire type")).unwrap();
    assert_eq!(from_status(&malformed).map(|detail| detail.code), Some(ErrorCode::InvalidRequest));
    // Reflection asks for another version, and a deadline leaves everything open.
    for code in [Code::Ok, Code::Unimplemented, Code::DeadlineExceeded, Code::Cancelled, Code::NotFound] {
        assert!(named(&Status::new(code, "")).is_none(), "{code}");
    }
    assert!(named(&to_status(&ErrorCode::OffsetOutOfRange.into())).is_none(), "ours already");
}

#[test]
fn an_outcome_has_one_spelling() {
    for (outcome, word) in
        [(Outcome::NotAppended, crate::v1::Outcome::NotAppended), (Outcome::Unknown, crate::v1::Outcome::Unknown)]
    {
        let status = to_status(&ErrorDetail::from(ErrorCode::Overloaded).with_outcome(outcome));
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.metadata[key::OUTCOME], word.as_str_name());
    }
}

#[test]
fn a_call_without_an_answer_is_in_doubt_unless_it_was_never_sent() {
    use ErrorCode::{BrokerNotAvailable, DeadlineExceeded, Overloaded, UnknownServerError, WrongNode};

    let check = |status: &Status, origin, code, retriable, outcome| {
        let (found, detail) = classify(status);
        assert_eq!((found, detail.code), (origin, code), "{status}");
        assert_eq!((detail.retriable, detail.outcome), (retriable, outcome), "{status}");
    };
    let of = |code| Status::new(code, "by somebody");
    let local = |code| {
        let mut status = of(code);
        status.set_source(std::sync::Arc::new(std::io::Error::from(std::io::ErrorKind::BrokenPipe)));
        status
    };
    let mut refused = of(Code::Unavailable);
    refused.set_source(std::sync::Arc::new(ConnectError("refused".into())));

    check(&refused, Origin::NotConnected, BrokerNotAvailable, true, Outcome::NotAppended);
    check(&of(Code::Unavailable), Origin::Transport, BrokerNotAvailable, true, Outcome::Unknown);
    check(&local(Code::Unknown), Origin::Transport, BrokerNotAvailable, true, Outcome::Unknown);
    check(&local(Code::Internal), Origin::Transport, BrokerNotAvailable, true, Outcome::Unknown);
    check(&of(Code::Internal), Origin::Transport, UnknownServerError, false, Outcome::Unknown);
    check(&of(Code::DeadlineExceeded), Origin::Transport, DeadlineExceeded, true, Outcome::Unknown);
    check(&of(Code::Cancelled), Origin::Transport, DeadlineExceeded, true, Outcome::Unknown);
    check(&of(Code::ResourceExhausted), Origin::Transport, Overloaded, true, Outcome::Unknown);
    check(&of(Code::Unimplemented), Origin::Transport, WrongNode, false, Outcome::NotAppended);
}
