//! What JavaScript calls. The classes of the npm package are in `src/*.ts`; here arguments are converted, one call of the
//! core is made, and its result is converted.
//!
//! Numbers are `f64` where they are times (Unix milliseconds), since `u64` would be a BigInt. Header values are strings of
//! one character a byte, as `fetch` has them.
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

/// Called once when the module is there: a panic throws out of the module, and its loader lets nobody in again. The text
/// says where and not what: a message could hold a secret.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
        wasm_bindgen::throw_str(&place);
    }));
}

/// Panics: for the test of what the package makes of it.
#[wasm_bindgen]
#[allow(clippy::panic, reason = "that is what it is for")]
pub fn panic_for_test() {
    panic!("asked for");
}
