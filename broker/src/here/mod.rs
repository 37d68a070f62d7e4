//! What a broker knows of itself, shared by its parts.
//!
//! - [`context`]: all of it together, made once at start and passed on explicitly; there is no global.
//! - [`identity`], [`token`], [`clock`], [`time_trust`], [`lease`], [`state`]: who it is and how its folder proves it, what
//!   time it is and whether that is trusted, how long it may believe that it is not fenced, how it is doing.
//! - [`shares`]: memory that all clients use and of which none gets all. [`parked`]: of it, what requests take up that wait
//!   for something. [`known_producers`]: how many are remembered. [`streams`]: how many are open.
//! - [`metadata`], [`partitions`]: the cluster as far as it knows, and the replicas that are open here. [`scrubbed`]:
//!   how far they were read again.
//! - [`image_follower`], `assignment`: pure: how metadata is applied, and what it means for one replica. [`went_back`]: since
//!   when there is only older metadata. [`patience`]: when it may end so that another start looks at a replica.

pub mod assignment;
pub mod clock;
pub mod context;
pub mod identity;
pub mod image_follower;
pub mod known_producers;
pub mod lease;
pub mod metadata;
pub mod parked;
pub mod partitions;
pub mod patience;
pub mod scrubbed;
pub mod shares;
pub mod state;
pub mod streams;
pub mod time_trust;
pub mod token;
pub mod went_back;
