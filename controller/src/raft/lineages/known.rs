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
    lineage::{self, Boot, Heard, Known, MAX_BOOTS, MAX_LINEAGES, Said, Shown, from_wire, judge, to_wire},
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
/// So many may be kept, members or not: a quorum has few.
const PRUNED_ABOVE: usize = 16;
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
    log: LogStore,
    pub(super) halt: Halt,
    /// Knows which controllers were given up.
    pub(super) view: MetadataView,
    pub(super) table: Mutex<Table>,
    /// Held while the folder is bound to a cluster. True: it is bound, and that is not counted yet.
    pub(super) binding: tokio::sync::Mutex<bool>,
}

#[derive(Default)]
pub(super) struct Table {
    known: BTreeMap<u64, Known>,
    /// Who knows the present start: the last boot is enough for them.
    confirmed: BTreeSet<u64>,
    /// Refused, and said so: for whom and why.
    refused: BTreeMap<u64, lineage::Refusal>,
    /// Refused because they were given up, and said so.
    pub(super) given_up: BTreeSet<u64>,
    /// Refusals that are not true of this controller, as they were said. At most [`MAX_LINEAGES`].
    pub(super) ignored: BTreeSet<String>,
    is_changed: bool,
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
            inner: Arc::new(Inner {
                node_id,
                boots,
                data,
                store,
                log,
                halt,
                view,
                table,
                binding: tokio::sync::Mutex::default(),
            }),
        })
    }

    /// What a message to `target` shows; 0: to the one that answers.
    pub(crate) fn shown(&self, target: u64) -> Said {
        let Inner { node_id, boots, table, .. } = &*self.inner;
        let mut shown = self.own();
        let table = table.lock();
        if table.confirmed.contains(&target) {
            shown.boots.drain(..boots.len().saturating_sub(1));
        }
        to_wire(*node_id, &shown, table.known.iter())
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
        self.unless_given_up(sender.node_id)?;
        let heard = from_wire(sender.node_id, said)?;
        self.unless_lower(sender.node_id, heard.sender.recovered)?;
        if let Some((theirs, ours)) = heard.sender.recovered.zip(self.recovered())
            && theirs > ours
            // Which cluster that is has to be known: it ends for good.
            && sender.cluster_id.is_some()
        {
            return Err(self.end_as_given_up(&format!("controller {}", sender.node_id), &theirs).await);
        }
        let Some(next) = self.compare(sender.node_id, heard).await? else { return Ok(()) };
        self.save(next).await.map_err(|error| ErrorDetail::new(ErrorCode::KafkaStorageError, error.to_string()))
    }

    /// Compares and keeps what needs no waiting. `Some`: what has to be durable first.
    async fn compare(&self, sender: u64, heard: Heard) -> Result<Option<BTreeMap<u64, Known>>, ErrorDetail> {
        let Inner { node_id, boots, table, .. } = &*self.inner;
        let Heard { sender: shown, mut others } = heard;
        if let Some(of_this) = others.remove(node_id) {
            if let Err(refusal) = judge(Some(&of_this), &self.own()) {
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
                let known = table.known.get(&sender).map(Into::into);
                drop(table);
                return Err(self.refusal(ErrorCode::StaleFolder, refusal.to_string(), sender, known));
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

pub(super) fn copied(id: u64, what: &str) -> Fatal {
    Fatal::Copied { id, what: what.to_owned() }
}
