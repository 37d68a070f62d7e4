//! The metadata version, as an operator finalises it. Carried out on the active controller.

use holdfast_metadata::{Command, ControllerVersions, FinalizeVersion, Response as Done};
use holdfast_proto::{
    detail::ErrorDetail,
    ids::{ControllerId, MetadataIndex, MetadataVersion},
    v1::{FinalizeVersionRequest, FinalizeVersionResponse},
};

use super::{super::answer::unexpected, edge::AdminEdge};

impl AdminEdge {
    /// Finalises a version, or only says whether it could be. Every voter is asked now: what one said earlier may have been
    /// of a build that it runs no more.
    pub(super) async fn finalize(
        &self,
        request: FinalizeVersionRequest,
    ) -> Result<FinalizeVersionResponse, ErrorDetail> {
        let said = self.agreement.ask(MetadataIndex(0)).await;
        let controllers = said
            .into_iter()
            .map(|(id, said)| ControllerVersions { controller_id: ControllerId(id), versions: said.versions() });
        let command = FinalizeVersion { version: MetadataVersion(request.version), controllers: controllers.collect() };
        match self.carry_out(Command::FinalizeVersion(command), request.validate_only).await? {
            (index, Done::VersionFinalized { before }) => {
                Ok(FinalizeVersionResponse { index: index.0, version_before: before.0 })
            }
            (_, answer) => Err(unexpected(&answer)),
        }
    }
}
