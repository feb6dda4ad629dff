//! Sans-IO registry authentication: one mTLS identity on every hop.
#![forbid(unsafe_code)]
#![warn(clippy::disallowed_methods)]

pub mod client;
pub mod error;
#[cfg(any(feature = "server", feature = "mint"))]
mod key;
#[cfg(feature = "mint")]
pub mod mint;
pub mod origin;
pub mod secret;
#[cfg(feature = "server")]
pub mod server;
pub mod time;
pub mod tls;
