//! The cluster's metadata as it travels.
//!
//! - [`records`]: metadata records between controllers and brokers, both ways. Bytes from outside are hostile.
//! - [`recovery`]: what was given up as the controllers went on from one of them.
//! - [`registration`]: what brokers say of their folders and replicas.
//! - [`settings`]: settings of topics in requests.
//! - [`trust`]: what is believed of disks.
//! - [`view`]: the image as administration shows it, on brokers and on controllers.

pub mod records;
pub mod recovery;
pub mod registration;
pub mod settings;
pub mod stream;
pub mod trust;
pub mod view;
