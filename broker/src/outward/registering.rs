//! The registration of this start of the broker with the controllers.

use std::sync::Arc;

use holdfast_log::ListState;
use holdfast_metadata::{
    trust::FolderProof,
    version::{SUPPORTED, TRUST},
};
use holdfast_metadata_wire::registration;
use holdfast_proto::{
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{BrokerEpoch, MetadataIndex},
    v1,
};

use super::header::header;
use crate::{exit::Fatal, here::context::Context};

/// Registers. `Err(None)` asks to try again.
///
/// The registration names the one that it takes the place of, so that one which is long on its way displaces no newer start;
/// and it shows what only this folder has: the next token is durable here before it is said.
pub(super) async fn register(context: &Context) -> Result<MetadataIndex, Option<Fatal>> {
    let identity = &context.identity;
    let (replaces, version) = match context.nodes.controllers.registration_and_version(identity.broker_id).await {
        Ok((known, version)) => (known.map_or(0, |known| known.broker_epoch), version),
        Err(error) => {
            tracing::warn!(%error, "not registered yet: the controllers do not say who is");
            return Err(None);
        }
    };
    let folder = proof(context).await?;
    let mut request = v1::RegisterBrokerRequest {
        header: Some(header(&context.identity).map_err(|_| None)?),
        broker_id: context.identity.broker_id.0,
        incarnation_id: identity.incarnation_id.to_bytes(),
        directory_id: context.logs.data_dir.directory_id().to_bytes(),
        boot_counter: identity.boot_counter,
        client_address: context.identity.addresses.client.clone(),
        peer_address: context.identity.addresses.peer.clone(),
        rack: context.config.rack.clone(),
        min_metadata_version: SUPPORTED.min.0,
        max_metadata_version: SUPPORTED.max.0,
        replaces_broker_epoch: Some(replaces),
        known_index: context.logs.data_dir.known_metadata().0,
        ..v1::RegisterBrokerRequest::default()
    };
    registration::show_folder(&mut request, &folder);
    match context.nodes.controllers.register(request).await {
        Ok(answer) if answer.metadata_went_back => Err(Some(Fatal::MetadataWentBack(format!(
            "the state of the active controller ends with index {}, and index {} is known here to be committed",
            answer.index,
            context.logs.data_dir.known_metadata()
        )))),
        Ok(answer) => {
            note_metadata(context, MetadataIndex(answer.index)).await?;
            identity.registered(BrokerEpoch(answer.broker_epoch));
            if version >= TRUST {
                context.token.heard();
            }
            tracing::info!(broker_epoch = answer.broker_epoch, index = answer.index, "registered");
            if answer.other_folder {
                tracing::warn!(
                    directory = %context.logs.data_dir.directory_id(),
                    "the controllers know another data folder of this broker, or a later state of this one: it is new, or a \
                     copy, or was restored. None of its replicas counts until it has copied them again from their leaders"
                );
            }
            Ok(MetadataIndex(answer.index))
        }
        Err(detail) if detail.code == ErrorCode::InconsistentClusterId => {
            let ours = identity.cluster_id().map(|id| id.to_string()).unwrap_or_default();
            Err(Some(Fatal::OtherCluster { ours, theirs: detail.message }))
        }
        Err(detail) if detail.code == ErrorCode::UnsupportedVersion => Err(Some(Fatal::TooOld(detail.message))),
        Err(detail) if is_final(&detail) => Err(Some(Fatal::RegistrationRefused(detail.to_string()))),
        Err(detail) => {
            tracing::warn!(error = %detail, "not registered yet");
            Err(None)
        }
    }
}

/// What the folder shows: its tokens, and what this start found of each replica.
async fn proof(context: &Context) -> Result<FolderProof, Option<Fatal>> {
    let data_dir = Arc::clone(&context.logs.data_dir);
    let tokens = tokio::task::spawn_blocking(move || {
        let known = data_dir.tokens().known;
        data_dir.next_token().map(|next| (known, next))
    });
    let (known, next) = match tokens.await {
        Ok(tokens) => tokens.map_err(|error| not_kept(&error))?,
        Err(error) => return Err(Some(Fatal::Failure(format!("the tokens of the data folder: {error}")))),
    };
    context.token.stored(context.clock.now(), next, context.logs.data_dir.disk().stats().data_syncs);
    let replicas = context.reports.get().cloned().unwrap_or_default();
    let data_dir = &context.logs.data_dir;
    let is_lost = matches!(data_dir.list_state(), ListState::Lost { .. }); // as that of a copy is, which tells of then
    Ok(FolderProof { known, next, replicas, list_lost: is_lost || data_dir.was_copied() })
}

/// Keeps in the folder how far the metadata is committed.
async fn note_metadata(context: &Context, index: MetadataIndex) -> Result<(), Option<Fatal>> {
    let data_dir = Arc::clone(&context.logs.data_dir);
    match tokio::task::spawn_blocking(move || data_dir.note_metadata(index)).await {
        Ok(noted) => noted.map_err(|error| not_kept(&error)),
        Err(error) => Err(Some(Fatal::Failure(format!("the identity of the data folder: {error}")))),
    }
}

/// What it means that the folder takes no more; want of handles or memory passes, and is tried again.
fn not_kept(error: &holdfast_log::Error) -> Option<Fatal> {
    if error.is_shortage() {
        tracing::warn!(%error, "not registered yet");
        return None;
    }
    Some(Fatal::DataFolder(error.to_string()))
}

/// A refusal that stays the same however often it is asked for.
fn is_final(detail: &ErrorDetail) -> bool {
    matches!(detail.code, ErrorCode::InvalidRequest | ErrorCode::PolicyViolation | ErrorCode::InvalidConfig)
}
