//! Server reflection: what a tool such as grpcurl can learn of a port without any `.proto` file.

use tonic_reflection::server::{
    Builder, Error,
    v1::{ServerReflection, ServerReflectionServer},
};

use holdfast_proto::{descriptors, v1::FILE_DESCRIPTOR_SET};

use crate::health;

/// What every port serves besides.
const EVERYWHERE: [&str; 2] = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"];

/// The service for a port. It lists `services`, which are those that the port serves, and health and reflection; and it
/// knows the details of errors.
pub fn service(services: &[&str]) -> Result<ServerReflectionServer<impl ServerReflection>, Error> {
    let builder = Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(health::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(descriptors::ERROR_DETAILS)
        .register_encoded_file_descriptor_set(descriptors::WELL_KNOWN);
    services.iter().chain(&EVERYWHERE).fold(builder, |builder, name| builder.with_service_name(*name)).build_v1()
}
