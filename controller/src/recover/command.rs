//! Its flags, and what it does.

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use holdfast_identity::{BROKER, CONTROLLER};
use holdfast_metadata::{Image, recover_controllers, recovery::RecoverControllers};
use holdfast_proto::ids::{BrokerId, ControllerId};

use super::{
    naming::{self, Known},
    open, others, text,
    width::fit,
};
use crate::{
    exit::Fatal,
    identity::{DataDir, Identity},
    listing::list,
    raft::Survivor,
    store::{self, Marker, Origin, Store, Told},
};

/// Lets the controllers go on from this one alone, where the others are lost.
///
/// The last resort: changes of the metadata that this controller does not know are lost for good. While a majority of the
/// controllers can still be started it is not needed.
#[derive(Clone, Debug, Default, clap::Args)]
#[allow(clippy::struct_excessive_bools)] // one a flag
pub struct Recover {
    /// Data folder of the controller to go on with; it has to be stopped.
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: PathBuf,
    /// What this controller does not know may be given up, and the other controllers are. Without it nothing is changed.
    #[arg(long)]
    pub accept_loss: bool,
    /// Every broker that there is, as numbers with commas, known here or not: no partition gets a leader before all of them
    /// were heard. Needed with --accept-loss.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub brokers: Vec<u32>,
    /// Brokers that are gone for good, as numbers with commas: no partition waits for what they hold.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub without_brokers: Vec<u32>,
    /// Topics may be deleted, with all their records, and may keep their records for less than before, by what this
    /// controller does not know to be committed.
    #[arg(long)]
    pub accept_deletions: bool,
    /// Go on from a store that lacks what this controller told others, as one that was restored from an older copy; also
    /// where the others refused it for that.
    #[arg(long)]
    pub accept_older_store: bool,
    /// Go on although a majority of the controllers answers: where none of them becomes active, and that stays so. They are
    /// given up, with all that they know beyond this folder. Stop them first.
    #[arg(long)]
    pub against_majority: bool,
    /// Answer the question with yes.
    #[arg(short, long)]
    pub yes: bool,
}

impl Recover {
    /// The command that does what was looked at: with the same flags, and the loss accepted.
    fn command(&self) -> String {
        let mut command = format!("holdfast-controller recover --data-dir {} --accept-loss", self.data_dir.display());
        for (flag, brokers) in [("--brokers", &self.brokers), ("--without-brokers", &self.without_brokers)] {
            if !brokers.is_empty() {
                command = format!("{command} {flag} {}", list(brokers, ","));
            }
        }
        for (flag, is_set) in [
            ("--accept-deletions", self.accept_deletions),
            ("--accept-older-store", self.accept_older_store),
            ("--against-majority", self.against_majority),
        ] {
            if is_set {
                command = format!("{command} {flag}");
            }
        }
        command
    }

    /// Refuses to go on while it is not said of each broker that is known whether it is there, and while records would
    /// be deleted by what nobody agreed to. Where no broker is registered there is no partition that could get a leader
    /// too early.
    fn check(&self, survivor: &Survivor) -> Result<(), Fatal> {
        let known = known_brokers(survivor);
        let unnamed = known.unnamed(&self.brokers, &self.without_brokers);
        if self.brokers.is_empty() && (unnamed.is_some() || !known.registered.is_empty()) {
            return Err(Fatal::Failure(naming::brokers_needed(&known)));
        }
        if let Some((unnamed, is_removed)) = unnamed {
            return Err(Fatal::Failure(naming::broker_unnamed(unnamed, is_removed)));
        }
        self.check_deletions(survivor)
    }

    fn check_deletions(&self, survivor: &Survivor) -> Result<(), Fatal> {
        let (vanishing, shortened) = (survivor.vanishing(), survivor.shortened());
        if self.accept_deletions || (vanishing.is_empty() && shortened.is_empty()) {
            return Ok(());
        }
        Err(Fatal::Failure(text::deletions_refused(vanishing, shortened)))
    }

    /// The brokers that are given up. One that was removed by what may not be committed is registered no more: where it
    /// is gone for good nothing is left to be given up of it.
    fn without(&self, forgotten: &BTreeSet<BrokerId>) -> Vec<BrokerId> {
        let is_meant = |broker: &BrokerId| !forgotten.contains(broker) || self.brokers.contains(&broker.0);
        self.without_brokers.iter().copied().map(BrokerId).filter(is_meant).collect()
    }

    /// True if it names a broker that nobody waits for and that is not known, or was given up, it or its disk: there is
    /// something to wait for.
    fn expects_more(&self, image: &Image) -> bool {
        let unheard: BTreeSet<BrokerId> = image.unheard_brokers().collect();
        let given_up: BTreeSet<BrokerId> = image.given_up_brokers().collect();
        let is_wanting = |broker| match image.broker(broker) {
            Some(known) => given_up.contains(&broker) || image.has_lost_disk(broker, known.broker_epoch),
            None => true,
        };
        let mut brokers = self.brokers.iter().copied().map(BrokerId);
        brokers.any(|broker| !unheard.contains(&broker) && is_wanting(broker))
    }
}

/// The brokers of which it has to be said whether they are there.
fn known_brokers(survivor: &Survivor) -> Known {
    Known {
        registered: survivor.image().brokers().keys().map(|broker| broker.0).collect(),
        removed: survivor.forgotten().iter().map(|broker| broker.0).collect(),
    }
}

/// Carries it out. Blocks.
pub fn recover(args: &Recover) -> Result<(), Fatal> {
    check_folder(&args.data_dir)?;
    let data = DataDir::open(&args.data_dir)?;
    let identity = data.identity();
    let Some(cluster_id) = identity.cluster_id else {
        let message = "the controller of this folder never belonged to a cluster: there is nothing to go on with";
        return Err(Fatal::DataFolder(message.to_owned()));
    };
    let survivor = read(&data, &identity)?;
    say(&text::found(&args.data_dir.display().to_string(), identity.node_id, cluster_id, &survivor));
    let members = survivor.members();
    let Some(own) = members.iter().find(|member| member.id == identity.node_id) else {
        let message =
            "by its own log this controller is no member any more: it was removed, or replaced. Choose another one";
        return Err(Fatal::DataFolder(message.to_owned()));
    };
    let (address, own) = (own.address.clone(), own.clone());
    let others: Vec<_> = members.into_iter().filter(|member| member.id != identity.node_id).collect();
    let older = text::older(&survivor);
    let expects_more = args.expects_more(survivor.image());
    let without = args.without(survivor.forgotten());
    if others.is_empty() && without.is_empty() && older.is_none() && !expects_more {
        say("it is the only controller: nothing has to be given up, and nothing was changed. Start it");
        return Ok(());
    }
    if let Some(why) = older.filter(|_| !args.accept_older_store) {
        say(text::OLDER_STORE);
        return Err(Fatal::StoreDamaged(format!("{why}; nothing was changed")));
    }
    // The look tells it, and changes nothing.
    match others::refuse(&survivor, &own, cluster_id, args.against_majority) {
        Ok(answer) if answer.is_empty() => {}
        Ok(answer) => say(&text::still_there(&answer)),
        Err(why) if args.accept_loss => return Err(why),
        Err(why) => say(&format!("\nNOT NOW: {why}")),
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let order = RecoverControllers {
        controller_id: ControllerId(identity.node_id),
        term: survivor.last_term(),
        committed: survivor.committed(),
        given_up: others.iter().map(|member| ControllerId(member.id)).collect(),
        without,
        expected: args.brokers.iter().copied().map(BrokerId).collect(),
        at_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
    };
    let image = recover_controllers(survivor.image(), &order).map_err(|error| Fatal::Failure(error.to_string()))?;
    say(&text::given_up(&survivor, &others, &address, &image));
    if let Some(grows) = text::version(survivor.image().version(), &image) {
        say(&grows);
    }
    if !survivor.open().is_empty() {
        say(&open::told(survivor.open()));
    }
    if !survivor.vanishing().is_empty() {
        say(&text::vanishing(survivor.vanishing()));
    }
    if !survivor.shortened().is_empty() {
        say(&text::shortened(survivor.shortened()));
    }
    if !args.accept_loss {
        let unsaid = known_brokers(&survivor).unsaid(&args.brokers, &args.without_brokers);
        say(&naming::how_to_choose(&args.command(), &unsaid, args.brokers.is_empty()));
        return Ok(());
    }
    args.check(&survivor)?;
    if !args.yes {
        confirm()?;
        // They may have come back while the answer was thought over.
        others::refuse(&survivor, &own, cluster_id, args.against_majority)?;
    }
    survivor.go_on(identity.node_id, &address, &image).map_err(Fatal::of_store)?;
    data.keep_told()?;
    say(&text::done(&address, &image));
    Ok(())
}

/// The store, opened as the program does. What its mark says is not enforced here: it is told; so is that there is none, or
/// none that can be read. A start refuses such a folder still, until it goes on from here.
fn read(data: &DataDir, identity: &Identity) -> Result<Survivor, Fatal> {
    let marker = Marker { node_id: identity.node_id, directory_id: identity.directory_id.0 };
    let path = data.told_path();
    let (told, unread) = match Told::open(&path, identity.told) {
        Err(store::Error::Damaged(why)) => (Told::open(&path, false)?, Some(why)),
        told => (told?, None),
    };
    let store = Store::open(&data.store_path(), &marker, Origin::Made, told)?;
    Survivor::read(store, unread).map_err(Fatal::of_store)
}

/// Refuses what is no folder of a controller, before anything is made in it.
fn check_folder(path: &Path) -> Result<(), Fatal> {
    let refuse = |why: &str| Err(Fatal::DataFolder(format!("{}: {why}", path.display())));
    if path.join(CONTROLLER.file).is_file() {
        return Ok(());
    }
    if path.join(BROKER.file).is_file() {
        return refuse("this is the folder of a broker, not of a controller");
    }
    refuse("this is no data folder of a controller: it is empty, or not there, or holds something else")
}

fn confirm() -> Result<(), Fatal> {
    const WHAT: &str = "the other controllers are given up, with every change that this one does not know";
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Fatal::Failure(format!("{WHAT}: this asks, and there is no terminal to answer; say --yes")));
    }
    let failed = |error: io::Error| Fatal::Failure(error.to_string());
    write!(io::stderr().lock(), "{} ", fit(&format!("{WHAT}. Go on? [y/N]"))).map_err(failed)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(failed)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Fatal::Failure("nothing was changed".to_owned())),
    }
}

fn say(text: &str) {
    // Who does not read it any more has chosen so; what is done does not depend on it.
    let _ = writeln!(io::stdout().lock(), "{}", fit(text));
}

#[cfg(test)]
mod tests {
    use holdfast_metadata::{Record, trust::LostDisk};
    use holdfast_proto::ids::BrokerEpoch;

    use super::*;
    use crate::test_support::registration;

    #[test]
    fn there_is_something_to_wait_for_where_a_disk_was_given_up_of_a_broker_that_is_there() {
        let (broker_id, broker_epoch) = (BrokerId(3), BrokerEpoch(7));
        let mut image = Image::default();
        image.apply(&Record::Broker(registration(broker_id, broker_epoch))).expect("it fits");
        let expects_more = |image: &Image, brokers: &[u32]| {
            Recover { brokers: brokers.to_vec(), ..Recover::default() }.expects_more(image)
        };
        assert!(!expects_more(&image, &[3]), "it is registered");
        assert!(expects_more(&image, &[3, 4]), "4 is not known");
        let lost = LostDisk { broker_id, broker_epoch, replicas: 0, eligible: 0, led: 0, at_ms: 5 };
        image.apply(&Record::LostDisk(lost)).expect("it fits");
        assert!(expects_more(&image, &[3]), "nobody waits for it by that");
        image.apply(&Record::Broker(registration(broker_id, BrokerEpoch(8)))).expect("it fits");
        assert!(!expects_more(&image, &[3]), "it came back since");
    }

    #[test]
    fn nothing_is_given_up_of_a_broker_that_is_removed_by_what_may_not_be_committed() {
        let (forgotten, all) = (BTreeSet::from([BrokerId(3)]), vec![2, 3]);
        let without = |brokers: &[u32]| {
            let order = Recover { brokers: brokers.to_vec(), without_brokers: all.clone(), ..Recover::default() };
            order.without(&forgotten)
        };
        assert_eq!(without(&[1]), [BrokerId(2)]);
        assert_eq!(without(&[1, 3]), [BrokerId(2), BrokerId(3)], "one of the two, and that is said");
    }

    #[test]
    fn the_command_that_is_told_has_the_flags_of_the_look() {
        let look = Recover {
            data_dir: "/data".into(),
            accept_loss: false,
            brokers: vec![1, 2],
            without_brokers: vec![3, 4],
            accept_deletions: true,
            accept_older_store: true,
            against_majority: true,
            yes: false,
        };
        let whole = "holdfast-controller recover --data-dir /data --accept-loss --brokers 1,2 --without-brokers 3,4 \
                        --accept-deletions --accept-older-store --against-majority";
        assert_eq!(look.command(), whole);
        let plain = Recover { data_dir: "/data".into(), ..Recover::default() };
        assert_eq!(plain.command(), "holdfast-controller recover --data-dir /data --accept-loss");
    }
}
