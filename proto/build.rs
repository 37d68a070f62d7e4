//! Compiles the protobuf files with protox: no protoc on the build machine.

use std::{env, error::Error, path::PathBuf};

const FILES: [&str; 7] = ["common", "producer", "consumer", "admin", "replica", "controller", "raft"];

/// What the details of errors are made of; protox holds these files.
const WELL_KNOWN: [&str; 2] = ["google/protobuf/any.proto", "google/protobuf/duration.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = FILES.map(|name| format!("proto/holdfast/v1/{name}.proto"));
    let descriptors = protox::compile(&files, ["proto"])?;
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    // Server reflection serves these files as they are.
    std::fs::write(out_dir.join("descriptors.bin"), prost_encode(&descriptors))?;
    let well_known = protox::compile(WELL_KNOWN, ["proto"])?;
    std::fs::write(out_dir.join("well_known.bin"), prost_encode(&well_known))?;
    let mut config = tonic_prost_build::Config::new();
    // By its name the codec finds what a message may hold.
    config.enable_type_names();
    tonic_prost_build::configure()
        .bytes(".")
        .codec_path("crate::bounded::BoundedCodec")
        .skip_protoc_run()
        .compile_fds_with_config(descriptors, config)?;
    Ok(())
}

fn prost_encode(descriptors: &impl prost::Message) -> Vec<u8> {
    descriptors.encode_to_vec()
}
