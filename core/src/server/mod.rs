//! The server half: what a registry and its token service need. No socket, no clock, no randomness, no user database.
//!
//! Plain values in, plain replies out. A registry's front asks [`Guard::check`] about every request; a token endpoint
//! calls [`Issuer::read`], authenticates whoever asks in its own way, and calls [`Issuer::issue`] or
//! [`Issuer::refuse`]; where the key that signs tokens is held elsewhere, by PKCS#11, a TPM or a key service,
//! [`Issuer::prepare`] and [`Issuer::finish`] stand before and after the signature. Nothing calls back.
//!
//! ```
//! use regauth::server::{Call, Guard, GuardConfig, Identity, Issuer, IssuerConfig, KeyRef, Policy, SigningKey, Verdict};
//! use regauth::Time;
//!
//! let key = SigningKey::generate(&[7; 32])?; // 32 random bytes, kept: the same bytes give the same key
//! let guard = Guard::new(GuardConfig::new(
//!     "https://reg.example/token", // realm
//!     "reg.example",               // service: the audience of tokens
//!     "https://reg.example",       // issuer
//!     vec![key.verifying()],
//! ))?;
//! let issuer = Issuer::new(IssuerConfig::new("https://reg.example", &["reg.example"], key, KeyRef::Thumbprint))?;
//! let policy = Policy::parse("builder  builds/{build}  pull,push")?;
//!
//! let now = Time(1_800_000_000_000);
//! let push = Call::new("PUT", "/v2/builds/b-1/manifests/latest");
//! let Verdict::Deny(challenge) = guard.check(&push, now) else { panic!() };
//! assert_eq!(
//!     challenge.header("www-authenticate"),
//!     Some(r#"Bearer realm="https://reg.example/token",service="reg.example",scope="repository:builds/b-1:pull,push""#)
//! );
//!
//! let ask = issuer.read(&Call::new("GET", "/token?service=reg.example&scope=repository:builds/b-1:pull,push")).unwrap();
//! let who = Identity::new("b-1")?.role("builder")?.bind("build", "b-1")?; // the host has authenticated it
//! let reply = issuer.issue(&ask, &who, &policy.may(&who, &ask.scopes), now, &[9; 16]); // 16 random bytes
//! let token = reply.token().unwrap();
//!
//! let authorization = format!("Bearer {}", token.expose_str().unwrap());
//! let Verdict::Allow(pass) = guard.check(&push.authorization(&[&authorization]), now) else { panic!() };
//! assert_eq!(pass.subject, "b-1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ask;
mod call;
mod claims;
mod form;
mod guard;
mod issuer;
mod json;
mod keys;
mod need;
mod peer;
mod policy;
mod readers;
mod verify;

pub use ask::{Ask, Credential};
pub use call::{Call, Reason, Reply, SetupError};
pub use claims::{Access, Claims, Confirmation};
pub use guard::{Guard, GuardConfig, Pass, Verdict};
pub use issuer::{Bind, Issuer, IssuerConfig, Refuse, Unsigned};
pub use keys::{IssuerKey, KeyError, KeyRef, SigningKey, VerifyingKey};
pub use need::{Need, need};
pub use peer::{Peer, PeerError, Source, SpiffeId};
pub use policy::{Flaw, Identity, IdentityError, Policy, PolicyError, Template};
pub use verify::Verifier;

/// The longest token that is looked at, in bytes: what servers commonly allow for one header field.
pub const MAX_TOKEN: usize = 8 * 1024;
/// The longest token request, in bytes: target, body and `Authorization` together.
pub const MAX_REQUEST: usize = 16 * 1024;
/// The most scopes in one token request.
pub const MAX_SCOPES: usize = 32;
/// The longest scope, in bytes: a repository name of 255, its type and its actions.
pub const MAX_SCOPE: usize = 512;
/// Seconds that clocks may differ, both ways; the registries of distribution allow 60.
pub const LEEWAY: u64 = 30;
