//! Sans-IO registry authentication: one mTLS identity on every hop.
#![forbid(unsafe_code)]
#![warn(clippy::disallowed_methods)]

pub mod challenge;
pub mod client;
pub mod error;
pub mod origin;
pub mod reference;
pub mod scope;
pub mod secret;
pub mod time;
pub mod tls;

pub use reference::Reference;
pub use scope::Scope;
