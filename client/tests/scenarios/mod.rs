//! What the client promises, one file for each part.

mod admin;
mod consumer;
mod given;
mod order;
mod outcome;
mod places;
mod producer;
mod routing;
mod size;
mod times;
