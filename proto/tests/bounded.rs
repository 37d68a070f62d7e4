//! No request can hold a repeated field without a limit, as the descriptors say it.
#![cfg(feature = "grpc")]

use std::collections::HashMap;

use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorSet, field_descriptor_proto::Label};

use holdfast_proto::{
    bounded::{
        count::{Entries, MOST_FIELDS},
        table::bounds,
    },
    v1::FILE_DESCRIPTOR_SET,
};

/// The messages of our own by the names that fields use.
fn messages(set: &FileDescriptorSet) -> HashMap<String, &DescriptorProto> {
    let ours = set.file.iter().filter(|file| file.package().starts_with("holdfast."));
    ours.flat_map(|file| {
        file.message_type.iter().map(|message| (format!(".{}.{}", file.package(), message.name()), message))
    })
    .collect()
}

/// What of a request has no limit: by its path of field numbers, whatever is below.
fn unbounded(
    messages: &HashMap<String, &DescriptorProto>,
    message: &DescriptorProto,
    path: &[u64],
    entries: &[Entries],
    found: &mut Vec<String>,
) {
    assert!(path.len() < 5, "{} holds itself", message.name());
    for field in &message.field {
        let number = field.number() as u64;
        let holds = |entry: &&Entries| match path {
            [] => entry.within.is_none() && entry.field == number,
            [within] => entry.within == Some(*within) && entry.field == number,
            _ => false,
        };
        let of_numbers = matches!(field.r#type() as i32, 1..=8 | 13..=18);
        let is_bounded = entries.iter().find(holds).is_some_and(|entry| entry.is_packed == of_numbers);
        if field.label() == Label::Repeated && !is_bounded {
            found.push(format!("{}.{}", message.name(), field.name()));
        }
        if let Some(inner) = messages.get(field.type_name()) {
            unbounded(messages, inner, &[path, &[number]].concat(), entries, found);
        }
    }
}

#[test]
fn every_repeated_field_of_every_request_has_a_limit() {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let messages = messages(&set);
    let methods = set.file.iter().flat_map(|file| &file.service).flat_map(|service| &service.method);
    let (mut found, mut requests) = (Vec::new(), 0);
    for method in methods {
        let request = messages[method.input_type()];
        let entries = bounds(request.name()).entries;
        assert!(entries.len() <= MOST_FIELDS, "{} has more limits than are counted", request.name());
        unbounded(&messages, request, &[], entries, &mut found);
        requests += 1;
    }
    assert!(requests > 25, "only {requests} methods were found");
    assert!(found.is_empty(), "without a limit in bounded/table.rs: {found:#?}");
}
