//! Brokers in this process, on loopback, with a controller that decides by the real metadata machine but keeps no log.

mod age;
mod fake_controller;
mod hostile;
mod identity;
mod leaving;
mod life;
mod moves;
mod reading;
mod replicated;
mod rig;
mod services;
mod single;
