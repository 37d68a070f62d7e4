//! The acknowledgement that a producer asks for.

use holdfast_proto::v1;

/// When a batch counts as delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acks {
    /// When it is handed to the connection. It may vanish at any time.
    None,
    /// When the leader has it. It may vanish with the leader.
    Leader,
    /// When every in-sync replica has it on disk, at least `min.insync.replicas` of them.
    #[default]
    All,
}

impl Acks {
    pub(crate) const fn to_message(self) -> v1::Acks {
        match self {
            Self::None => v1::Acks::None,
            Self::Leader => v1::Acks::Leader,
            Self::All => v1::Acks::All,
        }
    }
}
