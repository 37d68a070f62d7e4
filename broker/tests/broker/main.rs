//! Brokers in this process, on loopback, with a controller that decides by the real metadata machine but keeps no log.

mod age;
mod compared;
mod fake_admin;
mod fake_controller;
mod floods;
mod handles;
mod hostile;
mod identity;
mod leaving;
mod life;
mod limits;
mod moves;
mod process;
mod reading;
mod relayed;
mod reopened;
mod replicated;
mod rig;
mod salvaged;
mod scrubbed;
mod sent_on;
mod services;
mod single;
mod surface;
mod unread;
mod wire;
