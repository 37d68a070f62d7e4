//! Carries out [`crate::lineage`]: what each message shows, what is kept of what others show, who is refused.
//!
//! 1. The own history is durable, with this start in it, before anything is said in it.
//! 2. Another's new start is durable here before it is answered. How far it got is so within a second: what a crash lets
//!    this controller forget of it makes it believe more, never less.
//! 3. At most [`MAX_LINEAGES`] are kept; above [`PRUNED_ABOVE`] those alone that belong to the membership.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;

use holdfast_metadata::recovery::ControllerRecovery;
use holdfast_proto::{detail::ErrorDetail, error::ErrorCode, ids::ControllerId, v1::ControllerBoot};

use super::{
    codec::{decode, encode},
    halt::Halt,
};
use crate::{
    exit::Fatal,
    identity::{DataDir, Identity},
    lineage::{Boot, Heard, Known, MAX_BOOTS, MAX_LINEAGES, Refusal, Shown, from_wire, judge, to_wire},
    store::{self, Op, Store},
    view::MetadataView,
};

const BOOTS: &[u8] = b"boots";
const KNOWN: &[u8] = b"lineages";
/// Who refused this folder, and why; it starts no more.
pub(super) const REFUSED: &[u8] = b"refused";
pub(super) const GIVEN_UP: &[u8] = b"given-up";
/// So many may be kept, members or not: a quorum has few.
const PRUNED_ABOVE: usize = 16;
/// How often what changed is made durable.
const INTERVAL: Duration = Duration::from_secs(1);

/// See the module. Clones share it.
#[derive(Clone)]
pub struct Lineages {
    inner: Arc<Inner>,
}

struct Inner {
    node_id: u64,
    boots: Vec<Boot>,
    store: Store,
    halt: Halt,
    /// Knows which controllers were given up.
    view: MetadataView,
    table: Mutex<Table>,
    /// Held while the folder is bound to a cluster.
    binding: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Table {
    known: BTreeMap<u64, Known>,
    /// Who knows the present start: the last boot is enough for them.
    confirmed: BTreeSet<u64>,
    /// Refused, and said so: for whom and why.
    refused: BTreeMap<u64, Refusal>,
    /// Refused because they were given up, and said so.
    given_up: BTreeSet<u64>,
    is_changed: bool,
}

impl Lineages {
    /// Adds this start on `data` to its history in the store, durably. Refused if another controller refused the folder
    /// before. `view`: knows who was given up in a recovery. Blocks.
    pub fn open(data: &DataDir, store: Store, halt: Halt, view: MetadataView) -> Result<Self, Fatal> {
        let (identity, incarnation_id) = (data.identity(), data.incarnation_id());
        let (node_id, boot_counter) = (identity.node_id, identity.boot_counter);
        if let Some(refused) = store.read_state(REFUSED)? {
            return Err(copied(node_id, &String::from_utf8_lossy(&refused)));
        }
        if let Some(given_up) = store.read_state(GIVEN_UP)? {
            return Err(Fatal::GivenUp { id: node_id, what: String::from_utf8_lossy(&given_up).into_owned() });
        }
        let mut boots: Vec<Boot> = stored(&store, BOOTS, "history of the folder")?;
        let known: Vec<(u64, Known)> = stored(&store, KNOWN, "lineages of controllers")?;
        boots.push(Boot { boot_counter, incarnation_id, since: store.found_generation() });
        boots.drain(..boots.len().saturating_sub(MAX_BOOTS));
        let value = encode(&boots).map_err(Fatal::of_store)?;
        store.write_blocking(|done| Op::PutState { key: BOOTS, value, done: Some(done) })?;
        // What was found may not be synced, and is shown from now on.
        store.write_blocking(|done| Op::SettleTold { done })?;
        let table = Mutex::new(Table { known: known.into_iter().collect(), ..Table::default() });
        Ok(Self {
            inner: Arc::new(Inner { node_id, boots, store, halt, view, table, binding: tokio::sync::Mutex::default() }),
        })
    }

    /// What a message to `target` shows; 0: to the one that answers.
    pub(crate) fn shown(&self, target: u64) -> Vec<ControllerBoot> {
        let Inner { node_id, boots, store, table, .. } = &*self.inner;
        let generation = store.generation();
        let table = table.lock();
        let from = if table.confirmed.contains(&target) { boots.len().saturating_sub(1) } else { 0 };
        to_wire(*node_id, &Shown { boots: boots[from..].to_vec(), generation }, table.known.iter())
    }

    /// Takes what a message of `sender` shows. Refused with GIVEN_UP if it was given up, with STALE_FOLDER if the sender is
    /// not the one that is known, and if others know something of this controller that its own folder does not: then this
    /// controller ends.
    pub(crate) async fn hear(&self, sender: u64, boots: &[ControllerBoot]) -> Result<(), ErrorDetail> {
        self.unless_given_up(sender)?;
        let heard = from_wire(sender, boots)?;
        let Some(next) = self.compare(sender, heard).await? else { return Ok(()) };
        self.save(next).await.map_err(|error| ErrorDetail::new(ErrorCode::KafkaStorageError, error.to_string()))
    }

    /// Compares and keeps what needs no waiting. `Some`: what has to be durable first.
    async fn compare(&self, sender: u64, heard: Heard) -> Result<Option<BTreeMap<u64, Known>>, ErrorDetail> {
        let Inner { node_id, boots, store, table, .. } = &*self.inner;
        let Heard { sender: shown, mut others } = heard;
        if let Some(of_this) = others.remove(node_id) {
            let own = Shown { boots: boots.clone(), generation: store.generation() };
            if let Err(refusal) = judge(Some(&of_this), &own) {
                return Err(self.end(&format!("controller {sender}"), &refusal.to_string()).await);
            }
            if boots.last().is_some_and(|boot| boot.incarnation_id == of_this.incarnation_id) {
                table.lock().confirmed.insert(sender);
            }
        }
        let mut table = table.lock();
        match judge(table.known.get(&sender), &shown) {
            Ok(known) => {
                table.refused.remove(&sender);
                others.extend(known.map(|known| (sender, known)));
            }
            Err(refusal) => {
                if table.refused.insert(sender, refusal) != Some(refusal) {
                    tracing::error!(controller = sender, "a controller is refused, and is to end: {refusal}");
                }
                return Err(ErrorDetail::new(ErrorCode::StaleFolder, refusal.to_string()));
            }
        }
        let known = &table.known;
        others.retain(|id, told| match known.get(id) {
            Some(known) => told.is_newer(known),
            None => known.len() < MAX_LINEAGES,
        });
        let is_new =
            |(id, told): (&u64, &Known)| known.get(id).is_none_or(|known| known.incarnation_id != told.incarnation_id);
        if others.iter().any(is_new) {
            let mut next = known.clone();
            for (id, told) in others {
                if next.contains_key(&id) || next.len() < MAX_LINEAGES {
                    next.insert(id, told);
                }
            }
            return Ok(Some(next));
        }
        table.is_changed |= !others.is_empty();
        table.known.extend(others);
        Ok(None)
    }

    /// Makes this durable, and then it is what is known. Another message may have told more meanwhile.
    async fn save(&self, next: BTreeMap<u64, Known>) -> Result<(), store::Error> {
        let value =
            encode(&next.iter().collect::<Vec<_>>()).map_err(|error| store::Error::Damaged(error.to_string()))?;
        self.inner.store.write(|done| Op::PutState { key: KNOWN, value, done: Some(done) }).await?;
        let mut table = self.inner.table.lock();
        for (id, told) in next {
            if table.known.get(&id).is_none_or(|known| told.is_newer(known)) {
                table.known.insert(id, told);
            }
        }
        Ok(())
    }

    /// Refuses a controller that was given up in a recovery: what it says is of the metadata that was lost.
    fn unless_given_up(&self, sender: u64) -> Result<(), ErrorDetail> {
        let image = self.inner.view.image();
        let is_of = |recovery: &&ControllerRecovery| recovery.given_up.contains(&ControllerId(sender));
        let Some(recovery) = image.controller_recoveries().iter().rev().find(is_of) else { return Ok(()) };
        let ControllerRecovery { controller_id, index, .. } = recovery;
        let message = format!(
            "controller {sender} was given up when the controllers were recovered from controller {controller_id} at \
             metadata index {index}"
        );
        if self.inner.table.lock().given_up.insert(sender) {
            tracing::error!(controller = sender, "a controller is refused, and is to end: {message}");
        }
        Err(ErrorDetail::new(ErrorCode::GivenUp, message))
    }

    /// Another controller, named here as it is known, answered with an error. Ends this one if it is refused for good.
    pub(crate) async fn answered(&self, other: &str, detail: &ErrorDetail) {
        match detail.code {
            ErrorCode::StaleFolder => drop(self.end(other, &detail.message).await),
            ErrorCode::GivenUp => {
                let what = format!("{other} says: {}", detail.message);
                self.note(GIVEN_UP, &what).await;
                let _ = self.inner.halt.note(Fatal::GivenUp { id: self.inner.node_id, what });
            }
            _ => {}
        }
    }

    /// Binds the folder by `bind`, and counts that among what it told: a folder that was restored to before it does not know
    /// of that. Durable when it returns.
    pub(crate) async fn bind<T>(&self, data: &DataDir, bind: impl Future<Output = T>) -> Result<T, store::Error> {
        let _turn = self.inner.binding.lock().await;
        let was_bound = data.cluster_id().is_some();
        let bound = bind.await;
        if !was_bound && data.cluster_id().is_some() {
            self.inner.store.write(|done| Op::SettleTold { done }).await?;
        }
        Ok(bound)
    }

    /// The identity of the folder, and what a message to `target` shows: a promise is said once it counts.
    pub(crate) async fn said(&self, data: &DataDir, target: u64) -> (Identity, Vec<ControllerBoot>) {
        let _turn = self.inner.binding.lock().await;
        (data.identity(), self.shown(target))
    }

    /// Ends this controller, for good: the folder starts no more.
    async fn end(&self, by: &str, why: &str) -> ErrorDetail {
        let Inner { node_id, halt, .. } = &*self.inner;
        let what = format!("{by} says: {why}");
        self.note(REFUSED, &what).await;
        // The caller hears the refusal itself.
        let _ = halt.note(copied(*node_id, &what));
        ErrorDetail::new(ErrorCode::StaleFolder, what)
    }

    /// Notes in the folder why it starts no more.
    async fn note(&self, key: &'static [u8], what: &str) {
        let value = what.as_bytes().to_vec();
        if let Err(error) = self.inner.store.write(|done| Op::PutState { key, value, done: Some(done) }).await {
            tracing::warn!(%error, "that this folder is refused is not noted in it");
        }
    }

    /// Makes what changed durable, now and then, until the store takes no more writes. `members`: the node ids of the
    /// membership.
    pub async fn keep(self, members: impl Fn() -> BTreeSet<u64>) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            if let Err(error) = self.turn(&members).await {
                tracing::warn!(%error, "the lineages of the controllers are not kept any more");
                return;
            }
        }
    }

    async fn turn(&self, members: &impl Fn() -> BTreeSet<u64>) -> Result<(), store::Error> {
        let store = &self.inner.store;
        if store.is_ahead_of_generation() {
            store.write(|done| Op::SettleTold { done }).await?;
        }
        let next = {
            let mut table = self.inner.table.lock();
            if table.known.len() > PRUNED_ABOVE {
                let members = members();
                table.known.retain(|id, _| members.contains(id));
                table.is_changed = true;
            }
            std::mem::take(&mut table.is_changed).then(|| table.known.clone())
        };
        match next {
            Some(next) => self.save(next).await,
            None => Ok(()),
        }
    }
}

/// The list that stands under this key; empty if nothing does.
fn stored<T: serde::de::DeserializeOwned>(store: &Store, key: &[u8], what: &str) -> Result<Vec<T>, Fatal> {
    let decoded = store.read_state(key)?.map(|bytes| decode(what, &bytes)).transpose();
    Ok(decoded.map_err(Fatal::of_store)?.unwrap_or_default())
}

fn copied(id: u64, what: &str) -> Fatal {
    Fatal::Copied { id, what: what.to_owned() }
}
