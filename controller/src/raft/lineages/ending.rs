//! Who is refused for good: others, by this controller, and this one, by others.
//!
//! An answer comes from an address, and what listens there may be of another cluster, or know less. So a refusal says by
//! what it was judged, and this controller ends only if that is true of its own folder ([`check_refusal`]); what is not, is
//! logged and ignored.

use holdfast_metadata::recovery::ControllerRecovery;
use holdfast_proto::{
    detail::ErrorDetail,
    error::ErrorCode,
    ids::ControllerId,
    refusal::{KnownStart, Recovered, Refusal},
};

use super::known::{GIVEN_UP, Inner, Lineages, REFUSED, copied};
use crate::{
    exit::Fatal,
    lineage::{MAX_LINEAGES, Own, check_refusal, outranked},
    store::Op,
};

impl Lineages {
    /// Refuses a controller that was given up in a recovery: what it says is of the metadata that was lost.
    pub(super) fn unless_given_up(&self, sender: u64) -> Result<(), ErrorDetail> {
        let image = self.inner.view.image();
        let is_of = |recovery: &&ControllerRecovery| recovery.given_up.contains(&ControllerId(sender));
        let Some(recovery) = image.controller_recoveries().iter().rev().find(is_of) else { return Ok(()) };
        let ControllerRecovery { controller_id, index, .. } = recovery;
        let message = format!(
            "controller {sender} was given up when the controllers were recovered from controller {controller_id} at \
             metadata index {index}"
        );
        Err(self.given_up(sender, message))
    }

    /// Refuses a controller whose metadata is from before a recovery that is known here, itself known or not. `theirs`: the last
    /// recovery that its metadata has; `None` for an empty store, which is refused by nobody.
    pub(crate) fn unless_lower(&self, sender: u64, theirs: Option<Recovered>) -> Result<(), ErrorDetail> {
        let Some(ours) = outranked(theirs, self.recovered()) else { return Ok(()) };
        let message = match theirs.filter(|theirs| theirs.recoveries == ours.recoveries) {
            Some(theirs) => format!(
                "{ours}, and controller {sender} goes on from another recovery ({theirs}): of two the one that knew more counts, \
                 and what was decided under the other is given up"
            ),
            None => format!("{ours}, and what controller {sender} holds is from before: it was given up"),
        };
        Err(self.given_up(sender, message))
    }

    /// The refusal of a controller that was given up. Each is logged once.
    fn given_up(&self, sender: u64, message: String) -> ErrorDetail {
        if self.inner.said.lock().given_up.insert(sender) {
            tracing::error!(controller = sender, "a controller is refused, and is to end: {message}");
        }
        self.refusal(ErrorCode::GivenUp, message, sender, None)
    }

    /// A refusal for good, with what it was judged by.
    pub(super) fn refusal(
        &self,
        code: ErrorCode,
        message: String,
        sender: u64,
        known: Option<KnownStart>,
    ) -> ErrorDetail {
        let refusal = Refusal {
            cluster_id: self.inner.data.cluster_id(),
            controller_id: ControllerId(sender),
            recovered: self.recovered().unwrap_or_default(),
            known,
        };
        ErrorDetail::new(code, message).with_refusal(refusal)
    }

    /// Another controller, named here as it is known, answered with an error. Ends this one if that refuses it for good, and
    /// is true of it.
    pub(crate) async fn answered(&self, other: &str, detail: &ErrorDetail) {
        if !matches!(detail.code, ErrorCode::StaleFolder | ErrorCode::GivenUp) {
            return;
        }
        if let Err(why) = self.check(detail) {
            let mut said = self.inner.said.lock();
            if said.ignored.len() == MAX_LINEAGES {
                said.ignored.clear();
            }
            if said.ignored.insert(format!("{other}: {why}")) {
                tracing::warn!(other, message = detail.message, why, "this controller is refused, and goes on");
            }
            return;
        }
        if detail.code == ErrorCode::StaleFolder {
            // The caller hears the refusal itself.
            drop(self.end(other, &detail.message).await);
        } else {
            let theirs = detail.refusal.as_ref().map(|refusal| refusal.recovered).unwrap_or_default();
            self.note_given_up(format!("{other} says: {}", detail.message), &theirs).await;
        }
    }

    /// Whether a refusal is true of this controller, else why not.
    fn check(&self, detail: &ErrorDetail) -> Result<(), String> {
        let refusal = detail.refusal.as_deref().ok_or("it does not say by what")?;
        let cluster_id = self.inner.data.cluster_id();
        let own = Own { node_id: self.inner.node_id, cluster_id, shown: self.own() };
        check_refusal(refusal, &own).map_err(|doubt| doubt.to_string())
    }

    /// Ends this controller, for good: another one of its cluster has metadata of a later recovery.
    pub(super) async fn end_as_given_up(&self, by: &str, theirs: &Recovered) -> ErrorDetail {
        let before = if self.rivals(theirs).is_some() { "" } else { ", and what this one holds is from before" };
        let what = format!("{by} says: {theirs}{before}");
        self.note_given_up(what.clone(), theirs).await;
        ErrorDetail::new(ErrorCode::ShuttingDown, what)
    }

    /// Ends this controller, for good, before it takes part: another one goes on. Gives the reason back.
    pub(crate) async fn give_way(&self, what: String) -> Fatal {
        self.note(GIVEN_UP, &what).await;
        Fatal::GivenUp { id: self.inner.node_id, what }
    }

    /// The own last recovery, if it was made beside this one, which knew more.
    fn rivals(&self, theirs: &Recovered) -> Option<Recovered> {
        self.recovered().filter(|ours| ours.recoveries == theirs.recoveries && ours != theirs)
    }

    /// `theirs`: the recovery by which it was.
    async fn note_given_up(&self, what: String, theirs: &Recovered) {
        let what = match self.rivals(theirs) {
            Some(ours) => format!(
                "{what}. This one goes on from another recovery: {ours}. What was decided under that is in its data folder \
                 alone, and records of topics that were made under it stay on the brokers' disks, where nobody can read \
                 them: keep the folder until it is clear which one is right. If this one is to go on instead, stop the \
                 others; then run 'holdfast-controller recover' on this folder once more, with --accept-older-store: it \
                 counts for more then"
            ),
            None => what,
        };
        self.note(GIVEN_UP, &what).await;
        let _ = self.inner.halt.note(Fatal::GivenUp { id: self.inner.node_id, what });
    }

    /// Ends this controller, for good: the folder starts no more.
    pub(super) async fn end(&self, by: &str, why: &str) -> ErrorDetail {
        let Inner { node_id, halt, .. } = &*self.inner;
        let what = format!("{by} says: {why}");
        self.note(REFUSED, &what).await;
        // The caller hears the refusal itself.
        let _ = halt.note(copied(*node_id, &what));
        ErrorDetail::new(ErrorCode::ShuttingDown, what)
    }

    /// Notes in the folder why it starts no more.
    async fn note(&self, key: &'static [u8], what: &str) {
        let value = what.as_bytes().to_vec();
        if let Err(error) = self.inner.store.write(|done| Op::PutState { key, value, done: Some(done) }).await {
            tracing::warn!(%error, "that this folder is refused is not noted in it");
        }
    }
}
