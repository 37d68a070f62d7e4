//! Scenarios as text: one command a line, `#` begins a comment.
//!
//! | command | meaning |
//! |---|---|
//! | `cluster N min M` | N brokers, min.insync.replicas M; 1 leads, all are in sync |
//! | `produce NODE NAME [acks=0\|1\|all] [count=N] [producer=ID] [epoch=N] [seq=N] [leader-epoch=N]` | sends a batch |
//! | `settle` · `run MS` | everything is delivered and flushed; time passes |
//! | `deliver A>B [last]` · `drop A>B` | the oldest (newest) message of a link arrives; all vanish (0 is the controller) |
//! | `hold A>B ...` · `release A>B ...` · `release-all` | links keep their messages; let them go |
//! | `break A B` | the fetch stream from follower A to leader B breaks |
//! | `flush NODE` | the next round of a disk |
//! | `kill NODE` · `power NODE [keep=N]` · `start NODE [blank]` | a process ends; the power fails; it comes back |
//! | `checkpoint NODE` | the high watermark reaches the disk |
//! | `fence NODE` · `unfence NODE` · `elect NODE` | what the controller does |
//! | `take-away NODE` · `give-back NODE` | a move ends without the node, which deletes its replica; one begins with it |
//! | `time-out-proposals NODE` | its calls to the controller pass their deadline; they may still arrive |
//! | `retain NODE OFFSET` | retention removes what lies below |
//! | `session-lost NODE` · `storage-failed NODE` | events |
//! | `expect ok NAME [at=OFFSET]` · `expect waiting NAME` · `expect error NAME CODE` | answer of the last produce of that name |
//! | `expect log NODE NAME ...` | what is written there, in order |
//! | `expect hw NODE OFFSET` · `expect end NODE OFFSET` · `expect start NODE OFFSET` | cursors |
//! | `expect readable NODE OFFSET\|CODE` · `expect consumer NODE EPOCH ok\|CODE` | what a consumer may do |
//! | `expect leader NODE\|none` · `expect isr NODE ...` · `expect elr NODE ...` | what the controller committed |
//! | `expect role NODE leader\|follower\|waiting\|halted` | what a replica is |
//! | `trace` | from here on every step is printed |
//! | `audit` | every log against every promise |

use std::{collections::BTreeMap, fmt::Debug};

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerId, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence},
};

use super::{
    cluster::{Cluster, plain_batch},
    faults::Crash,
    network::Link,
};
use crate::{Acks, Event, RoleView};

/// Runs a scenario; panics with the line that does not hold.
pub fn run(name: &str, text: &str) {
    let mut runner =
        Runner { cluster: Cluster::new(1, 1), names: BTreeMap::new(), tokens: BTreeMap::new(), place: String::new() };
    for (number, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        if !words.is_empty() {
            runner.place = format!("{name}:{}: {}", number + 1, words.join(" "));
            runner.command(&words);
        }
    }
}

struct Runner {
    cluster: Cluster,
    names: BTreeMap<String, u64>,
    tokens: BTreeMap<String, u64>,
    place: String,
}

impl Runner {
    fn fail(&self, why: &str) -> ! {
        panic!("{}: {why}", self.place)
    }

    fn number<T: std::str::FromStr>(&self, word: &str) -> T {
        word.parse().unwrap_or_else(|_| self.fail(&format!("{word} is not a number")))
    }

    fn link(&self, word: &str) -> Link {
        let Some((from, to)) = word.split_once('>') else { self.fail(&format!("{word} is not a link")) };
        (self.number(from), self.number(to))
    }

    fn equal<T: PartialEq + Debug + ?Sized>(&self, found: &T, expected: &T) {
        assert!(found == expected, "{}: found {found:?}", self.place);
    }

    fn command(&mut self, words: &[&str]) {
        let node = || self.number::<u32>(words.get(1).unwrap_or_else(|| self.fail("which node?")));
        match words {
            ["cluster", brokers, "min", min_isr] => {
                self.cluster = Cluster::new(self.number(brokers), self.number(min_isr));
                self.cluster.settle();
            }
            ["produce", _, name, options @ ..] => self.produce(node(), name, options),
            ["settle"] => self.cluster.settle(),
            ["run", ms] => self.cluster.run(self.number(ms)),
            ["deliver", link] => {
                let link = self.link(link);
                if !self.cluster.deliver(link) {
                    self.fail("nothing to deliver");
                }
            }
            ["deliver", link, "last"] => {
                let link = self.link(link);
                let last = self.cluster.network.len(link).saturating_sub(1);
                if !self.cluster.deliver_at(link, last) {
                    self.fail("nothing to deliver");
                }
            }
            ["drop", link] => drop(self.cluster.network.drop_all(self.link(link))),
            ["hold", links @ ..] => links.iter().for_each(|link| self.cluster.network.hold(self.link(link))),
            ["release", links @ ..] => links.iter().for_each(|link| self.cluster.network.release(self.link(link))),
            ["release-all"] => self.cluster.network.release_all(),
            ["break", follower, leader] => self.cluster.break_stream(self.number(follower), self.number(leader)),
            ["flush", _] => drop(self.cluster.flush(node())),
            ["kill", _] => self.cluster.crash(node(), Crash::Process),
            ["power", _] => self.cluster.crash(node(), Crash::Power { kept: 0 }),
            ["power", _, keep] => {
                let kept = self.number(keep.trim_start_matches("keep="));
                self.cluster.crash(node(), Crash::Power { kept });
            }
            ["start", _] => self.cluster.start(node(), false),
            ["start", _, "blank"] => self.cluster.start(node(), true),
            ["checkpoint", _] => {
                let id = node();
                let high_watermark = self.cluster.replica(id).high_watermark();
                if let Some(node) = self.cluster.nodes.get_mut(&id) {
                    node.log.checkpoint(high_watermark);
                }
            }
            ["fence", _] => {
                let id = BrokerId(node());
                self.cluster.controller.fence(id);
                self.cluster.publish();
            }
            ["unfence", _] => {
                let id = BrokerId(node());
                self.cluster.controller.unfence(id);
                self.cluster.publish();
            }
            ["elect", _] => {
                let id = BrokerId(node());
                if !self.cluster.controller.elect(id) {
                    self.fail("not eligible");
                }
                self.cluster.publish();
            }
            ["take-away", _] => {
                if !self.cluster.take_away(node()) {
                    self.fail("too few would be left");
                }
            }
            ["give-back", _] => {
                if !self.cluster.give_back(node()) {
                    self.fail("it is a replica");
                }
            }
            ["time-out-proposals", _] => self.cluster.time_out_proposals(node()),
            ["retain", _, offset] => {
                let offset = Offset(self.number(offset));
                self.cluster.retain_from(node(), offset);
            }
            ["session-lost", _] => self.cluster.step(node(), Event::SessionLost),
            ["storage-failed", _] => self.cluster.step(node(), Event::StorageFailed),
            ["expect", expectation @ ..] => self.expect(expectation),
            ["trace"] => self.cluster.trace = true,
            ["audit"] => self.cluster.audit(),
            _ => self.fail("no such command"),
        }
    }

    fn produce(&mut self, node: u32, name: &str, options: &[&str]) {
        let mut acks = Acks::All;
        let mut batch = plain_batch(1);
        let mut leader_epoch = None;
        for option in options {
            match option.split_once('=') {
                Some(("acks", "0")) => acks = Acks::None,
                Some(("acks", "1")) => acks = Acks::Leader,
                Some(("acks", "all")) => acks = Acks::All,
                Some(("count", count)) => batch.record_count = self.number(count),
                Some(("producer", id)) => {
                    batch.producer_id = ProducerId(self.number(id));
                    batch.producer_epoch = ProducerEpoch(0);
                    batch.base_sequence = Sequence(0);
                }
                Some(("epoch", epoch)) => batch.producer_epoch = ProducerEpoch(self.number(epoch)),
                Some(("seq", sequence)) => batch.base_sequence = Sequence(self.number(sequence)),
                Some(("leader-epoch", epoch)) => leader_epoch = Some(LeaderEpoch(self.number(epoch))),
                _ => self.fail(&format!("no such option: {option}")),
            }
        }
        let next = self.names.len() as u64 + 1;
        let value = *self.names.entry(name.to_owned()).or_insert(next);
        let token = self.cluster.produce(node, value, acks, batch, leader_epoch);
        self.tokens.insert(name.to_owned(), token);
    }

    fn expect(&self, words: &[&str]) {
        let numbers = |words: &[&str]| -> Vec<u32> { words.iter().map(|word| self.number(word)).collect() };
        let code =
            |result: Result<Offset, ErrorCode>| result.map_or_else(|code| code.name().to_owned(), |ok| ok.to_string());
        match words {
            ["ok", name] => {
                assert!(matches!(self.answer(name), Some(Ok(_))), "{}: found {:?}", self.place, self.answer(name));
            }
            ["ok", name, at] => {
                let at = Offset(self.number(at.trim_start_matches("at=")));
                self.equal(&self.answer(name), &Some(Ok(at)));
            }
            ["waiting", name] => self.equal(&self.answer(name), &None),
            ["error", name, expected] => {
                self.equal(&self.answer(name).map(code), &Some((*expected).to_owned()));
            }
            ["log", node, names @ ..] => {
                let by_value: BTreeMap<u64, &str> =
                    self.names.iter().map(|(name, value)| (*value, name.as_str())).collect();
                let batches = self.cluster.nodes[&self.number(node)].log.batches();
                let found: Vec<&str> = batches.iter().map(|batch| by_value[&batch.value]).collect();
                self.equal(found.as_slice(), names);
            }
            ["hw", node, offset] => {
                self.equal(&self.cluster.replica(self.number(node)).high_watermark().0, &self.number(offset));
            }
            ["end", node, offset] => {
                self.equal(&self.cluster.replica(self.number(node)).log_end().0, &self.number(offset));
            }
            ["start", node, offset] => {
                self.equal(&self.cluster.replica(self.number(node)).log_start().0, &self.number(offset));
            }
            ["readable", node, expected] => {
                let found = code(self.cluster.replica(self.number(node)).readable_end());
                self.equal(&found, &(*expected).to_owned());
            }
            ["consumer", node, epoch, expected] => {
                let named = Some(LeaderEpoch(self.number(epoch)));
                let found = self.cluster.replica(self.number(node)).check_consumer_epoch(named);
                self.equal(&found.map_or_else(ErrorCode::name, |()| "ok"), expected);
            }
            ["leader", "none"] => self.equal(&self.cluster.leader(), &None),
            ["leader", node] => self.equal(&self.cluster.leader(), &Some(self.number(node))),
            ["isr", nodes @ ..] => {
                let mut isr: Vec<u32> = self.cluster.controller.assignment().isr.iter().map(|id| id.0).collect();
                isr.sort_unstable();
                self.equal(&isr, &numbers(nodes));
            }
            ["elr", nodes @ ..] => {
                let elr: Vec<u32> = self.cluster.controller.elr().iter().map(|id| id.0).collect();
                self.equal(&elr, &numbers(nodes));
            }
            ["role", node, expected] => {
                let found = match self.cluster.replica(self.number(node)).role() {
                    RoleView::Leader => "leader",
                    RoleView::Follower(_) => "follower",
                    RoleView::Waiting => "waiting",
                    RoleView::Halted => "halted",
                };
                self.equal(&found, expected);
            }
            _ => self.fail("no such expectation"),
        }
    }

    /// The answer to the last produce of this name.
    fn answer(&self, name: &str) -> Option<Result<Offset, ErrorCode>> {
        let Some(token) = self.tokens.get(name) else { self.fail("never produced") };
        self.cluster.results.get(token).map(|result| result.map(|produced| produced.base_offset))
    }
}
