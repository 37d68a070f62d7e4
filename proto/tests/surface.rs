//! The gRPC surface as its descriptors say it: everything is commented, and reflection can serve it.
#![cfg(feature = "grpc")]

use std::collections::HashSet;

use prost::Message;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};

use holdfast_proto::v1::FILE_DESCRIPTOR_SET;

/// Numbers of fields in descriptor.proto: a place in a file is a path of them and of indexes.
mod tag {
    pub(crate) const FILE_MESSAGE: i32 = 4;
    pub(crate) const FILE_ENUM: i32 = 5;
    pub(crate) const FILE_SERVICE: i32 = 6;
    pub(crate) const MESSAGE_FIELD: i32 = 2;
    pub(crate) const MESSAGE_NESTED: i32 = 3;
    pub(crate) const MESSAGE_ENUM: i32 = 4;
    pub(crate) const MESSAGE_ONEOF: i32 = 8;
    pub(crate) const ENUM_VALUE: i32 = 2;
    pub(crate) const SERVICE_METHOD: i32 = 2;
}

/// Walks one file and collects what has no comment.
struct Walk {
    commented: HashSet<Vec<i32>>,
    seen: usize,
    missing: Vec<String>,
}

impl Walk {
    fn file(file: &FileDescriptorProto) -> Self {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        let commented = locations
            .filter(|location| !location.leading_comments().trim().is_empty())
            .map(|location| location.path.clone())
            .collect();
        let mut walk = Self { commented, seen: 0, missing: Vec::new() };
        let package = file.package();
        for (index, message) in (0..).zip(&file.message_type) {
            walk.message(message, &format!("{package}.{}", message.name()), &[tag::FILE_MESSAGE, index]);
        }
        for (index, declared) in (0..).zip(&file.enum_type) {
            walk.enumeration(declared, &format!("{package}.{}", declared.name()), &[tag::FILE_ENUM, index]);
        }
        for (index, service) in (0..).zip(&file.service) {
            let (name, path) = (format!("{package}.{}", service.name()), [tag::FILE_SERVICE, index]);
            walk.check(&name, &path);
            for (index, method) in (0..).zip(&service.method) {
                walk.check(&format!("{name}.{}", method.name()), &below(&path, tag::SERVICE_METHOD, index));
            }
        }
        walk
    }

    fn message(&mut self, message: &DescriptorProto, name: &str, path: &[i32]) {
        if message.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry) {
            return; // made by the compiler
        }
        self.check(name, path);
        let mut synthetic_oneofs = HashSet::new();
        for (index, field) in (0..).zip(&message.field) {
            self.check(&format!("{name}.{}", field.name()), &below(path, tag::MESSAGE_FIELD, index));
            if field.proto3_optional() {
                synthetic_oneofs.insert(field.oneof_index());
            }
        }
        for (index, oneof) in (0..).zip(&message.oneof_decl) {
            if !synthetic_oneofs.contains(&index) {
                self.check(&format!("{name}.{}", oneof.name()), &below(path, tag::MESSAGE_ONEOF, index));
            }
        }
        for (index, nested) in (0..).zip(&message.nested_type) {
            self.message(nested, &format!("{name}.{}", nested.name()), &below(path, tag::MESSAGE_NESTED, index));
        }
        for (index, nested) in (0..).zip(&message.enum_type) {
            self.enumeration(nested, &format!("{name}.{}", nested.name()), &below(path, tag::MESSAGE_ENUM, index));
        }
    }

    fn enumeration(&mut self, declared: &EnumDescriptorProto, name: &str, path: &[i32]) {
        self.check(name, path);
        for (index, value) in (0..).zip(&declared.value) {
            self.check(&format!("{name}.{}", value.name()), &below(path, tag::ENUM_VALUE, index));
        }
    }

    fn check(&mut self, name: &str, path: &[i32]) {
        self.seen += 1;
        if !self.commented.contains(path) {
            self.missing.push(name.to_owned());
        }
    }
}

fn below(path: &[i32], tag: i32, index: i32) -> Vec<i32> {
    [path, &[tag, index]].concat()
}

fn descriptors() -> FileDescriptorSet {
    FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap()
}

#[test]
fn everything_has_a_comment() {
    let (mut seen, mut missing) = (0, Vec::new());
    for file in descriptors().file.iter().filter(|file| file.package().starts_with("holdfast.")) {
        let walk = Walk::file(file);
        seen += walk.seen;
        missing.extend(walk.missing);
    }
    assert!(seen > 200, "only {seen} messages, fields, calls and values were found; were the files left out?");
    assert!(missing.is_empty(), "without a comment in the .proto files: {missing:#?}");
}

#[test]
fn what_is_left_out_is_found() {
    let mut file = descriptors().file.into_iter().find(|file| file.name() == "holdfast/v1/common.proto").unwrap();
    let value = [tag::FILE_ENUM, 0, tag::ENUM_VALUE, 1];
    for location in &mut file.source_code_info.as_mut().unwrap().location {
        if location.path == value || location.path == [tag::FILE_MESSAGE, 0, tag::MESSAGE_FIELD, 2] {
            location.leading_comments = None;
        }
    }
    let missing = Walk::file(&file).missing;
    assert_eq!(missing, ["holdfast.v1.PartitionError.message", "holdfast.v1.Outcome.OUTCOME_NOT_APPENDED"]);
}

#[test]
fn reflection_serves_the_descriptors() {
    let builder =
        || tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET);
    assert!(builder().build_v1().is_ok());
    assert!(builder().build_v1alpha().is_ok(), "older clients ask for v1alpha");
}
