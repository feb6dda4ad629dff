//! Sans-IO registry authentication: one mTLS identity on every hop.
#![forbid(unsafe_code)]
#![warn(clippy::disallowed_methods)]

pub mod client;
pub mod error;
pub mod origin;
pub mod secret;
pub mod time;
pub mod tls;
