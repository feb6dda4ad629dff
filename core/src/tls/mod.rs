//! Layer b: TLS, bytes in and bytes out, and the identities that every layer speaks of.
//!
//! `client`, `config`, `sessions` and `verify` are the only files that name rustls, and no type of it is public.

#[cfg(feature = "tls")]
mod buffer;
#[cfg(feature = "tls")]
pub mod client;
#[cfg(feature = "tls")]
mod config;
#[cfg(feature = "tls")]
pub mod error;
pub mod evidence;
pub mod identity;
#[cfg(feature = "pem")]
mod pem;
pub mod profile;
#[cfg(feature = "tls")]
mod sessions;
#[cfg(feature = "tls")]
mod step;
#[cfg(feature = "tls")]
mod verify;
#[cfg(feature = "pem")]
mod x509;

#[cfg(feature = "tls")]
pub(crate) use buffer::Buffer;
#[cfg(feature = "tls")]
pub use client::TlsClient;
#[cfg(feature = "tls")]
pub use error::{ServerFlaw, TlsError};
pub use evidence::{Evidence, Flaw, Shown, Version};
pub use identity::Identity;
#[cfg(feature = "pem")]
pub use identity::{IdentityError, IdentityFlaw, SignError, Signer};
#[cfg(all(feature = "pem", feature = "config"))]
pub(crate) use pem::certificates;
pub use profile::{Attempt, Choice, Profile, ProfileId, Provider, Roots, Settings};
#[cfg(feature = "tls")]
pub use step::Tls;
#[cfg(feature = "pem")]
pub use x509::name_text;
