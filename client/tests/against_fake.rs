//! The client against brokers that run inside the test and fail as told.

mod fake;
mod scenarios;
