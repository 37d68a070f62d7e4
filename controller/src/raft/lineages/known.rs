//! What is known of each controller: shown, compared, kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;

use holdfast_metadata::recovery::ControllerRecovery;
use holdfast_proto::{
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{ClusterId, MetadataIndex},
    refusal::Recovered,
};

use crate::{
    exit::Fatal,
    identity::DataDir,
    lineage::{Boot, Kept, Said, Shown, Table, Verdict, from_wire, outranked, with_start},
    raft::{
        codec::{decode, encode},
        halt::Halt,
        log_store::LogStore,
    },
    store::{self, Op, Store},
    view::MetadataView,
};

const BOOTS: &[u8] = b"boots";
pub(in crate::raft) const KNOWN: &[u8] = b"lineages";
/// Who refused this folder, and why; it starts no more.
pub(in crate::raft) const REFUSED: &[u8] = b"refused";
pub(in crate::raft) const GIVEN_UP: &[u8] = b"given-up";
/// How often what changed is made durable.
const INTERVAL: Duration = Duration::from_secs(1);

/// Who sent a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender {
    /// The node id that it says.
    pub(crate) node_id: u64,
    /// The cluster that its folder is bound to, if it says so.
    pub(crate) cluster_id: Option<ClusterId>,
}

/// See the module. Clones share it.
#[derive(Clone)]
pub struct Lineages {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) node_id: u64,
    boots: Vec<Boot>,
    pub(super) data: Arc<DataDir>,
    pub(super) store: Store,
    /// Knows whether anything was ever stored.
    pub(super) log: LogStore,
    pub(super) halt: Halt,
    /// Knows which controllers were given up.
    pub(super) view: MetadataView,
    pub(super) table: Mutex<Table>,
    pub(super) said: Mutex<SaidOnce>,
    /// Held while the folder is bound to a cluster. True: it is bound, and that is not counted yet.
    pub(super) binding: tokio::sync::Mutex<bool>,
}

/// How many other controllers this one refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Those that are not who they were: an older copy of a folder, or a second process on it.
    pub(crate) stale: usize,
    /// Those that were given up in a recovery of the controllers, and spoke since this one was started.
    pub(crate) given_up: usize,
}

/// What the log tells once.
#[derive(Default)]
pub(super) struct SaidOnce {
    /// Who was refused because it was given up.
    pub(super) given_up: BTreeSet<u64>,
    /// Refusals that are not true of this controller, as they were said. At most [`crate::lineage::MAX_LINEAGES`].
    pub(super) ignored: BTreeSet<String>,
}

impl Lineages {
    /// Adds this start on `data` to its history in the store, durably. Refused if another controller refused the folder
    /// before. `log` and `view`: what this controller holds, and who was given up in a recovery. Blocks.
    pub fn open(
        data: Arc<DataDir>,
        store: Store,
        log: LogStore,
        halt: Halt,
        view: MetadataView,
    ) -> Result<Self, Fatal> {
        let (identity, incarnation_id) = (data.identity(), data.incarnation_id());
        let (node_id, boot_counter) = (identity.node_id, identity.boot_counter);
        if let Some(refused) = store.read_state(REFUSED)? {
            return Err(copied(node_id, &String::from_utf8_lossy(&refused)));
        }
        if let Some(given_up) = store.read_state(GIVEN_UP)? {
            return Err(Fatal::GivenUp { id: node_id, what: String::from_utf8_lossy(&given_up).into_owned() });
        }
        let before: Vec<Boot> = stored(&store, BOOTS, "history of the folder")?;
        let known: Vec<(u64, Kept)> = stored(&store, KNOWN, "lineages of controllers")?;
        let boots = with_start(before, Boot { boot_counter, incarnation_id, since: store.found_generation() });
        let value = encode(&boots).map_err(Fatal::of_store)?;
        store.write_blocking(|done| Op::PutState { key: BOOTS, value, done: Some(done) })?;
        // What was found may not be synced, and is shown from now on.
        store.write_blocking(|done| Op::SettleTold { done })?;
        let table = Mutex::new(Table::new(known));
        Ok(Self {
            inner: Arc::new(Inner {
                node_id,
                boots,
                data,
                store,
                log,
                halt,
                view,
                table,
                said: Mutex::default(),
                binding: tokio::sync::Mutex::default(),
            }),
        })
    }

    /// What a message to `target` shows; 0: to the one that answers.
    pub(crate) fn shown(&self, target: u64) -> Said {
        let own = self.own();
        self.inner.table.lock().says(self.inner.node_id, own, target)
    }

    /// How many other controllers are refused.
    pub(crate) fn refused(&self) -> Refused {
        Refused { stale: self.inner.table.lock().refused(), given_up: self.inner.said.lock().given_up.len() }
    }

    /// The own history as it is now.
    pub(super) fn own(&self) -> Shown {
        let Inner { boots, store, .. } = &*self.inner;
        Shown { boots: boots.clone(), generation: store.generation(), recovered: self.recovered() }
    }

    /// The last recovery that the metadata here has; `None` while nothing was ever stored.
    pub(crate) fn recovered(&self) -> Option<Recovered> {
        let Inner { view, log, .. } = &*self.inner;
        let image = view.image();
        if image.index() == MetadataIndex(0) && log.is_empty() {
            return None;
        }
        let recoveries = image.controller_recoveries();
        let of = |last: &ControllerRecovery| Recovered {
            recoveries: recoveries.len() as u64,
            index: last.index,
            controller_id: last.controller_id,
        };
        Some(recoveries.last().map_or_else(Recovered::default, of))
    }

    /// Takes what a message shows of who sent it. Refused with GIVEN_UP if that was given up in a recovery, and with
    /// STALE_FOLDER if it is not the one that is known. This controller ends if it was given up itself, or if others know
    /// something of it that its own folder does not. What belongs to another cluster is not compared.
    pub(crate) async fn hear(&self, sender: Sender, said: &Said) -> Result<(), ErrorDetail> {
        let ours = self.inner.data.cluster_id();
        if ours.zip(sender.cluster_id).is_some_and(|(ours, theirs)| ours != theirs) {
            return Ok(());
        }
        let heard = from_wire(sender.node_id, said)?;
        // The recoveries first: of two that gave each other up one is to end, not both or none.
        self.unless_lower(sender.node_id, heard.sender.recovered)?;
        if let Some(theirs) = outranked(self.recovered(), heard.sender.recovered)
            // Which cluster that is has to be known: it ends for good.
            && sender.cluster_id.is_some()
        {
            return Err(self.end_as_given_up(&format!("controller {}", sender.node_id), &theirs).await);
        }
        self.unless_given_up(sender.node_id)?;
        let (id, own) = (sender.node_id, self.own());
        let verdict = self.inner.table.lock().hear(self.inner.node_id, &own, id, heard);
        match verdict {
            Verdict::Believed => Ok(()),
            Verdict::Stores(next) => {
                let failed = |error: store::Error| ErrorDetail::new(ErrorCode::KafkaStorageError, error.to_string());
                self.save(next).await.map_err(failed)
            }
            Verdict::Refused { refusal, known, is_new } => {
                if is_new {
                    tracing::error!(controller = id, "a controller is refused, and is to end: {refusal}");
                }
                let known = known.as_ref().map(Into::into);
                Err(self.refusal(ErrorCode::StaleFolder, refusal.to_string(), id, known))
            }
            Verdict::Ends(refusal) => Err(self.end(&format!("controller {id}"), &refusal.to_string()).await),
        }
    }

    /// Makes this durable, and then it is what is known. Another message may have told more meanwhile.
    async fn save(&self, next: BTreeMap<u64, Kept>) -> Result<(), store::Error> {
        let value =
            encode(&next.iter().collect::<Vec<_>>()).map_err(|error| store::Error::Damaged(error.to_string()))?;
        self.inner.store.write(|done| Op::PutState { key: KNOWN, value, done: Some(done) }).await?;
        self.inner.table.lock().saved(next);
        Ok(())
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
        let next = self.inner.table.lock().take_changed(members);
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

pub(super) fn copied(id: u64, what: &str) -> Fatal {
    Fatal::Copied { id, what: what.to_owned() }
}
