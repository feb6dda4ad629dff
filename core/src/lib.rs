//! Registry authentication without I/O: one mTLS identity on every hop between a builder and an OCI registry.
//!
//! A pull or push is several hops: the registry's API, its token endpoint, a redirect to blob storage, an upload
//! location, a mirror. This crate decides each hop in one place ([`hop::decide`]) and never opens a socket itself.
//!
//! # The contract
//!
//! 1. Everything the library wants done is one value, [`Step`]; the host does it and gives the result back.
//! 2. [`Flow::poll`] is idempotent: the same value comes until it is answered. There is no drain rule to forget.
//! 3. Registry call, token call, redirect and upload are the same step, [`Step::Send`]; it names the origin, the TLS
//!    profile and exactly what may be sent. A token call cannot take another client, another TLS configuration or
//!    another process, because there is no second path.
//! 4. Time comes in as a number, bytes as slices, secrets as [`Secret`]. Nothing reads a clock, a file, the environment
//!    or a socket.
//! 5. Shared state is one [`Agent`]; a request is one [`Flow`], owned by one task; a flow that has to wait for another's
//!    token request parks a [`Waker`](std::task::Waker), the only callback.
//!
//! # A host
//!
//! ```
//! use regauth::{Agent, Answer, Config, Error, Outgoing, Step, Time};
//! use std::task::Waker;
//!
//! /// Sends one request over a connection with the TLS profile that it names, redirects off.
//! type Send<'a> = &'a dyn Fn(&Outgoing) -> (u16, Vec<(String, String)>, Vec<u8>);
//!
//! fn get(agent: &Agent, url: &str, now: &dyn Fn() -> Time, send: Send) -> Result<u16, Error> {
//!     let mut flow = agent.request("GET", url)?;
//!     loop {
//!         match flow.poll(now(), Waker::noop()) {
//!             Step::Send(out) => {
//!                 let (status, headers, body) = send(out);
//!                 flow.answer(now(), Answer::new(status, &headers).body(&body));
//!             }
//!             Step::Credentials(_query) => flow.credentials(now(), Ok(None)), // look them up
//!             Step::Wait { .. } => {}                                         // sleep until woken
//!             Step::Failed(error) => return Err(error.clone()),
//!             _ => return Ok(flow.status().unwrap_or_default()),              // Done: that answer is yours
//!         }
//!     }
//! }
//!
//! // A registry that wants a token, and its token endpoint.
//! let server = |out: &Outgoing| match (out.url.path(), out.header("authorization")) {
//!     ("/token", _) => (200, vec![], br#"{"token": "T", "expires_in": 300}"#.to_vec()),
//!     (_, Some(_)) => (200, vec![], b"{}".to_vec()),
//!     _ => (401, vec![("WWW-Authenticate".into(), "Bearer realm=\"/token\",service=reg".into())], vec![]),
//! };
//! let agent = Agent::new(Config::default())?;
//! assert_eq!(get(&agent, "https://reg.example/v2/app/manifests/1", &|| Time(0), &server)?, 200);
//! # Ok::<(), Error>(())
//! ```
//!
//! # Layers
//!
//! Each is usable alone. **a**, [`client`]: HTTP messages, for hosts with an HTTP client of their own. **b**, [`tls`]:
//! TLS, bytes in and bytes out, without an agent. **c**, `wire`: a flow over sockets that the host gives, with TLS and
//! HTTP/1.1 in between. The vocabulary of all three: [`origin`], [`mod@reference`], [`challenge`], [`scope`], [`secret`],
//! [`time`], [`error`].
//!
//! # Features
//!
//! `tls` (default): layers b and c. `pem` (in it): identities given as PEM, for a TLS stack of the host's own. `ring` (default) and `aws-lc-rs`: cryptography for them; with both, ring is used
//! unless the caller names one. `config` (default): importers of configuration files. `server`: guard and token issuer.
//! `mint`: short-lived certificates. A feature adds constructors and never changes behaviour; no process-wide default is
//! ever installed.
//!
//! # Errors
//!
//! One type, [`Error`]: who is at fault, on which hop, one sentence of what happened and one of what to do. An error is
//! latched. An answer of the wrong kind is an error of the caller, never a panic.
#![forbid(unsafe_code)]
#![warn(clippy::disallowed_methods)]

pub mod challenge;
pub mod client;
#[cfg(feature = "config")]
pub mod config;
pub mod error;
#[cfg(any(feature = "server", feature = "mint"))]
mod key;
#[cfg(feature = "mint")]
pub mod mint;
pub mod origin;
pub mod reference;
mod route;
pub mod scope;
pub mod secret;
#[cfg(feature = "server")]
pub mod server;
pub mod time;
pub mod tls;
#[cfg(feature = "tls")]
pub mod wire;

pub use client::*;
pub use error::{Error, ErrorKind, Failure, Fault};
pub use origin::{Origin, Url};
pub use reference::Reference;
pub use scope::Scope;
pub use secret::Secret;
pub use time::Time;
pub use tls::Identity;
