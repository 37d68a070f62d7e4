//! The broker's services know no protocol, so that any listener can call them.

use holdfast_tidy::{
    sources::{assert_none, code, violations},
    words::identifiers,
};

/// Where no protocol may be named.
const FOLDER: &str = "broker/src/services/";

/// Protocols, and the folders of the broker that speak one.
const PROTOCOLS: [&str; 9] =
    ["v1", "tonic", "prost", "tower", "http", "holdfast_metadata_wire", "grpc", "outward", "messages"];

/// What a line names of a protocol.
fn protocol(line: &str) -> Option<&str> {
    identifiers(code(line)).find(|word| PROTOCOLS.contains(word))
}

#[test]
fn services_name_no_protocol() {
    assert_none(&violations(|path, line| {
        let word = protocol(line).filter(|_| path.starts_with(FOLDER))?;
        Some(format!("`{word}` in a service: take and give typed values, and let the listener convert"))
    }));
}

#[test]
fn the_rule_bites() {
    for line in [
        "use holdfast_proto::v1;",
        "    v1::{self, ProduceRequest},",
        "fn answer() -> Result<(), tonic::Status> {",
        "    outward::Controllers,",
        "use crate::{grpc::caller, here::context::Context};",
    ] {
        assert!(protocol(line).is_some(), "{line}");
    }
    for line in ["// as v1::ProduceRequest", "let v10 = forward::INDEX_WAIT;", "use crate::here::context::Context;"] {
        assert_eq!(protocol(line), None, "{line}");
    }
}
