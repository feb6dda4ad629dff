//! Whole exchanges against servers in memory: no socket, no clock, no sleep.
#![cfg(all(feature = "tls", feature = "ring"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod answers;
mod hops;
mod links;
mod local;
mod pairs;
mod rotation;
mod socket;
mod uploads;
mod world;
