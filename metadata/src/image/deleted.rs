//! The topics that were deleted last: what a broker that was away needs to know to delete their data.

use imbl::{OrdSet, Vector};

use holdfast_proto::ids::TopicId;

use crate::limits::MAX_DELETED_TOPICS;

/// Ids in the order of their deletion, the newest [`MAX_DELETED_TOPICS`] of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DeletedTopics {
    ids: OrdSet<TopicId>,
    order: Vector<TopicId>,
}

impl DeletedTopics {
    pub(super) fn ids(&self) -> &OrdSet<TopicId> {
        &self.ids
    }

    /// All of them, the oldest deletion first.
    pub(super) fn in_order(&self) -> impl Iterator<Item = TopicId> {
        self.order.iter().copied()
    }

    /// The id that would be forgotten with another deletion.
    pub(super) fn next_to_go(&self) -> Option<TopicId> {
        self.order.front().copied().filter(|_| self.order.len() >= MAX_DELETED_TOPICS)
    }

    /// Adds an id as the newest; the oldest goes if there are too many. One that is there stays where it is.
    pub(super) fn insert(&mut self, topic_id: TopicId) {
        if self.ids.insert(topic_id).is_some() {
            return;
        }
        self.order.push_back(topic_id);
        if self.order.len() > MAX_DELETED_TOPICS
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }

    /// Takes back the last [`Self::insert`], of an id that was not there; `gone` is what went with it.
    pub(super) fn take_back(&mut self, gone: Option<TopicId>) {
        if let Some(newest) = self.order.pop_back() {
            self.ids.remove(&newest);
        }
        if let Some(oldest) = gone {
            self.order.push_front(oldest);
            self.ids.insert(oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(number: usize) -> TopicId {
        TopicId(Uuid::from_u128(number as u128))
    }

    #[test]
    fn only_the_newest_are_kept_and_the_last_can_be_taken_back() {
        let mut deleted = DeletedTopics::default();
        // Not in the order of the ids: the order of the deletions counts.
        for number in (0..MAX_DELETED_TOPICS).rev() {
            assert_eq!(deleted.next_to_go(), None);
            deleted.insert(id(number));
        }
        let full = deleted.clone();
        let oldest = id(MAX_DELETED_TOPICS - 1);
        assert_eq!(deleted.next_to_go(), Some(oldest));
        deleted.insert(id(7));
        assert_eq!(deleted, full, "it was deleted before");
        deleted.insert(id(MAX_DELETED_TOPICS));
        assert_eq!((deleted.ids().len(), deleted.ids().contains(&oldest)), (MAX_DELETED_TOPICS, false));
        let mut again = DeletedTopics::default();
        deleted.in_order().for_each(|id| again.insert(id));
        assert_eq!(again, deleted, "a snapshot holds them in their order");
        deleted.take_back(Some(oldest));
        assert_eq!(deleted, full);
    }
}
