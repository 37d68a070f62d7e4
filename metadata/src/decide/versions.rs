//! The metadata version is finalised: from then on its commands and records are used, and who does not know them stays out.
//!
//! It only goes up (KIP-584), and only if everybody is there yet: every registered broker, fenced ones too, for they come
//! back, and every voter.

use holdfast_proto::error::ErrorCode;

use crate::{
    command::FinalizeVersion,
    image::Image,
    record::Record,
    response::{Decision, Rejection, Response},
    version::VersionRange,
};

/// Who does not support the version that are named in one refusal.
const MAX_NAMED: usize = 20;

/// Finalises the version, or names who does not support it.
pub(crate) fn finalize(image: &Image, command: &FinalizeVersion) -> Decision {
    let (before, version) = (image.version(), command.version);
    if version < before {
        return Err(Rejection::new(
            ErrorCode::InvalidRequest,
            format!("the metadata version is {before} and never goes back: {version} cannot be finalised"),
        ));
    }
    let response = Response::VersionFinalized { before };
    if version == before {
        return Ok((Vec::new(), response));
    }
    let refusing = refusing(image, command);
    if refusing.is_empty() {
        return Ok((vec![Record::Version { version }], response));
    }
    let mut named = refusing.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
    if refusing.len() > MAX_NAMED {
        named = format!("{named}, and {} more", refusing.len() - MAX_NAMED);
    }
    Err(Rejection::new(
        ErrorCode::UnsupportedVersion,
        format!(
            "metadata version {version} is not supported by {named}; upgrade them first, and remove those that are gone \
             for good"
        ),
    ))
}

/// Who does not support the version, in words.
fn refusing(image: &Image, command: &FinalizeVersion) -> Vec<String> {
    let knows = |versions: VersionRange| versions.contains(command.version);
    let brokers = image.brokers_without(command.version).map(|broker| {
        let state = if broker.fenced { ", fenced" } else { "" };
        format!("broker {} ({}{state})", broker.broker_id, broker.versions)
    });
    let controllers = command.controllers.iter().filter(|voter| !voter.versions.is_some_and(knows)).map(|voter| {
        let said = voter.versions.map_or_else(|| "which did not say".to_owned(), |versions| versions.to_string());
        format!("controller {} ({said})", voter.controller_id)
    });
    let nobody = command.controllers.is_empty().then(|| "any controller: none was asked".to_owned());
    nobody.into_iter().chain(controllers).chain(brokers).collect()
}
