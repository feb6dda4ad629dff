//! Layer b: TLS, bytes in and bytes out, and the identities that every layer speaks of.

pub mod evidence;
pub mod identity;
pub mod profile;

pub use evidence::{Evidence, Shown, Version};
pub use identity::Identity;
pub use profile::{Profile, ProfileId, Roots};
