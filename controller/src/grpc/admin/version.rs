//! The metadata version, as an operator finalises it. Carried out on the active controller.

use holdfast_metadata::{Command, FinalizeVersion, Response as Done};
use holdfast_proto::{
    detail::ErrorDetail,
    ids::MetadataVersion,
    v1::{FinalizeVersionRequest, FinalizeVersionResponse},
};

use super::{super::answer::unexpected, edge::AdminEdge};

impl AdminEdge {
    /// Finalises a version, or only says whether it could be.
    pub(super) async fn finalize(
        &self,
        request: FinalizeVersionRequest,
    ) -> Result<FinalizeVersionResponse, ErrorDetail> {
        let controllers = self.agreement.voters_versions().await;
        let command = FinalizeVersion { version: MetadataVersion(request.version), controllers };
        match self.carry_out(Command::FinalizeVersion(command), request.validate_only).await? {
            (index, Done::VersionFinalized { before }) => {
                Ok(FinalizeVersionResponse { index: index.0, version_before: before.0 })
            }
            (_, answer) => Err(unexpected(&answer)),
        }
    }
}
