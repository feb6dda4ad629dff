//! The C ABI of regauth. `include/regauth.h` is made from this crate and is its documentation.
//!
//! Nothing is decided here: every function converts its arguments, makes one call and converts the result. Pointers are
//! trusted in two files only: [`guard`] for objects, [`data`] for everything else that C gives. What they trust is what
//! the first comment of the header asks of its reader; the functions are `unsafe` for that reason and no other.
#![allow(
    non_camel_case_types,
    clippy::missing_safety_doc,
    clippy::too_many_arguments,
    reason = "names and contract are those of the header; a pointer and its length are two arguments"
)]
#![warn(clippy::undocumented_unsafe_blocks)]

// In the order of the header, which rustfmt keeps between empty lines.
pub mod version;

pub mod numbers;

pub mod data;

pub mod error;

pub mod identity;

pub mod evidence;

pub mod config;

pub mod profile;

pub mod agent;

pub mod wake;

pub mod step;

pub mod flow;

pub mod attempt;

pub mod endpoints;

pub mod challenge;

pub mod scope;

pub mod reference;

#[cfg(feature = "config")]
pub mod importer;

#[cfg(feature = "config")]
pub mod helper;

#[cfg(feature = "pem")]
pub mod pem;

#[cfg(feature = "tls")]
pub mod tls;

#[cfg(feature = "tls")]
pub mod work;

#[cfg(feature = "tls")]
pub mod link;

#[cfg(feature = "tls")]
pub mod exchange;

#[cfg(feature = "server")]
pub mod subject;

#[cfg(feature = "server")]
pub mod server;

#[cfg(feature = "server")]
pub mod signing;

#[cfg(feature = "server")]
pub mod issuer;

#[cfg(feature = "mint")]
pub mod mint;

mod guard;
#[cfg(target_family = "wasm")]
pub mod wasm;
