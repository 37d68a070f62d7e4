//! A broker that leaves in order, and what it knew as a leader.

use holdfast_broker::partition::last_word::LastWord;
use holdfast_metadata::Image;
use holdfast_proto::ids::TopicPartition;

use super::{outgoing::Outgoing, process::Broker};
use crate::sim::{
    disk::Disk,
    message::{Message, Node},
};

impl Broker {
    /// Asks the controllers to do without this broker.
    pub fn leave(&self, out: &mut Vec<Outgoing>) {
        if let Some(broker_epoch) = self.broker_epoch() {
            let message = Message::Leave { broker_epoch, has_stopped: false };
            out.push(Outgoing::Send(Node::Controller, message));
        }
    }

    /// Closes every log in order. What it knew as a leader.
    pub fn close_all(&mut self, disk: &mut Disk, out: &mut Vec<Outgoing>) -> Vec<(TopicPartition, LastWord)> {
        let all = self.replicas.all();
        let last_word = |tp: &TopicPartition| Some((*tp, LastWord::of(self.replicas.get(*tp)?)?));
        let last_words = all.iter().filter_map(last_word).collect();
        for tp in all {
            self.replicas.close(tp, disk, out);
        }
        last_words
    }

    /// The metadata as it knows it.
    pub fn image(&self) -> &Image {
        self.metadata.image()
    }
}
