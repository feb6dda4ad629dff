//! A client identity: a certificate chain, and a key that can sign.

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "pem")]
use super::pem::Held;
#[cfg(feature = "pem")]
pub use super::pem::{IdentityError, IdentityFlaw, SignError, Signer};

/// A client certificate with its key, or the name of one that the host's own TLS stack holds.
///
/// Cheap to clone. `Debug` prints the label and the fingerprint.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    label: String,
    fingerprint: [u8; 32],
    #[cfg(feature = "pem")]
    held: Option<Held>,
}

impl Identity {
    /// The name of an identity that the host's own TLS stack holds. `fingerprint` is the SHA-256 of the leaf's DER (32
    /// zero bytes where it is not known): it keeps tokens of one certificate apart from those of the next.
    pub fn named(label: impl Into<String>, fingerprint: [u8; 32]) -> Self {
        Self(Arc::new(Inner {
            label: label.into(),
            fingerprint,
            #[cfg(feature = "pem")]
            held: None,
        }))
    }

    #[cfg(feature = "pem")]
    pub(super) fn holding(label: String, fingerprint: [u8; 32], held: Held) -> Self {
        Self(Arc::new(Inner { label, fingerprint, held: Some(held) }))
    }

    #[cfg(feature = "pem")]
    pub(crate) fn held(&self) -> Option<&Held> {
        self.0.held.as_ref()
    }

    /// The name it was configured under: a label or a file.
    pub fn label(&self) -> &str {
        &self.0.label
    }

    /// SHA-256 of the leaf certificate's DER.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.0.fingerprint
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.label() == other.label() && self.fingerprint() == other.fingerprint()
    }
}

impl Eq for Identity {}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("label", &self.label()).finish_non_exhaustive()
    }
}
