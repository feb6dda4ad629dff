//! Real registries and proxies on loopback: what the tests of regauth are judged by.
//!
//! [`World::start`] runs nginx in front of one of two real registries, with a token service and, by [`Scenario`], a
//! second and a third host. nginx's own log ([`World::records`]) says what each request showed: the client
//! certificate, the scheme of its `Authorization`, the connection, and whether the TLS session was resumed.
//!
//! Every program is a child of the test, listens on free ports of 127.0.0.0/8, writes into a temporary directory and is
//! ended by its process id when its value is dropped. Keep a [`World`] in the test function, not in a `static`, which is
//! never dropped. `install.sh` beside this crate's manifest installs the programs.
#![forbid(unsafe_code)]
// This crate is all that core is not allowed to be: it starts processes, writes their configuration and waits.
#![allow(clippy::disallowed_methods, reason = "the host's side of the tests: files, clocks, sockets, threads")]

mod front;
mod http;
mod image;
mod log;
mod nginx;
mod pki;
mod process;
mod registry;
pub mod routes;
pub mod skopeo;
mod token;
mod world;

pub use front::{Ask, Front, Server, Tls};
pub use image::{Blob, Image, Seed};
pub use log::Record;
pub use pki::{Pair, Pki, entropy, now};
pub use process::{Process, Program, TempDir, example, free_port, have};
pub use registry::{Kind, Registry};
pub use token::{Counts, Manner, TokenService};
pub use world::{Scenario, World};

/// The only user of the token service.
pub const USER: &str = "robot";
/// Its password.
pub const PASSWORD: &str = "s3cret";
/// A refresh token that the token service takes, as a form `POST` with `grant_type=refresh_token`.
pub const REFRESH: &str = "r3fresh";
/// The registries' `service`, and the audience of their tokens.
pub const SERVICE: &str = "test-registry";
/// The issuer of their tokens.
pub const ISSUER: &str = "test";
