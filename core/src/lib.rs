//! Sans-IO registry authentication: one mTLS identity on every hop.
#![forbid(unsafe_code)]
#![warn(clippy::disallowed_methods)]

pub mod challenge;
pub mod client;
pub mod error;
#[cfg(any(feature = "server", feature = "mint"))]
mod key;
#[cfg(feature = "mint")]
pub mod mint;
pub mod origin;
pub mod reference;
pub mod scope;
pub mod secret;
#[cfg(feature = "server")]
pub mod server;
pub mod time;
pub mod tls;

pub use client::*;
pub use error::{Error, ErrorKind, Failure, Fault};
pub use origin::{Origin, Url};
pub use reference::Reference;
pub use scope::Scope;
pub use secret::Secret;
pub use time::Time;
pub use tls::Identity;
