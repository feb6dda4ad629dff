//! What users read about client certificates, from real servers: every state, in TLS 1.2 and 1.3.
//!
//! `cargo test -p regauth-servers --test diagnosis -- --nocapture` prints the table.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "sockets, and the table is worth seeing")]

mod client;
mod pairs;
mod rustls;
mod table;
