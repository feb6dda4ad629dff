//! What JavaScript calls. The classes of the npm package are in `src/*.ts`; here arguments are converted, one call of the
//! core is made, and its result is converted.
//!
//! Numbers are `f64` where they are times (Unix milliseconds), since `u64` would be a BigInt. Header values are strings of
//! one character a byte, as `fetch` has them.
//!
//! A panic is a trap: it throws out of the module, and the package's loader lets nobody in again.
#![deny(unsafe_code)]
#![allow(unreachable_pub, unnameable_types, reason = "JavaScript reaches and names them, by wasm-bindgen")]
#![allow(clippy::result_large_err, reason = "an error becomes an object of JavaScript right away")]

#[cfg(feature = "client")]
mod agent;
#[cfg(feature = "client")]
mod challenge;
#[cfg(feature = "client")]
mod config;
#[cfg(feature = "client")]
mod error;
#[cfg(feature = "tls")]
mod evidence;
#[cfg(feature = "tls")]
mod exchange;
#[cfg(feature = "client")]
mod flow;
#[cfg(feature = "config")]
mod importer;
#[cfg(feature = "mint")]
mod mint;
#[cfg(feature = "client")]
mod names;
#[cfg(feature = "client")]
mod text;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "client")]
mod wake;

use wasm_bindgen::prelude::wasm_bindgen;

/// Panics: for the test of what the package makes of it.
#[wasm_bindgen]
#[allow(clippy::panic, reason = "that is what it is for")]
pub fn panic_for_test() {
    panic!("asked for");
}
