//! Server reflection: what a tool such as grpcurl can learn of a port without any `.proto` file.

use tonic_reflection::server::{Builder, Error, v1, v1alpha};

use holdfast_proto::{descriptors, v1::FILE_DESCRIPTOR_SET};

use crate::health;

/// What every port serves besides.
const EVERYWHERE: [&str; 3] =
    ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

/// The service for a port, and the same as older clients ask for it. It lists `services`, which are those that the port
/// serves, and health and reflection; and it knows the details of errors.
pub fn services(
    services: &[&str],
) -> Result<
    (
        v1::ServerReflectionServer<impl v1::ServerReflection>,
        v1alpha::ServerReflectionServer<impl v1alpha::ServerReflection>,
    ),
    Error,
> {
    let builder = || {
        let builder = Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(health::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(descriptors::ERROR_DETAILS)
            .register_encoded_file_descriptor_set(descriptors::WELL_KNOWN);
        services.iter().chain(&EVERYWHERE).fold(builder, |builder, name| builder.with_service_name(*name))
    };
    Ok((builder().build_v1()?, builder().build_v1alpha()?))
}
