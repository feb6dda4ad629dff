//! The module that Envoy loads in a host of ours, in time of ours: no sockets, no sleeps.
#![allow(clippy::unwrap_used, clippy::panic)]

mod answers;
mod faults;
mod support;
mod tokens;
mod workers;
