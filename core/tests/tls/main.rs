//! TLS against a rustls server in memory: no socket, no clock, no sleep.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod choice;
mod ends;
mod identities;
mod late;
mod matrix;
mod sharing;
mod split;
mod world;
