//! The server half: what a registry and its token service need. No socket, no clock, no user database.

pub mod jws;

pub use jws::{Access, Claims, KeyError, KeyRef, SigningKey};
