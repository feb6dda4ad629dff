//! What the tests of the plugin share: Envoy between clients and a real registry, and the module in a host of ours.
#![allow(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc)]

pub mod client;
pub mod envoy;
pub mod host;

use std::path::{Path, PathBuf};

/// The folder `bindings-wasm/proxy`.
pub fn proxy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../proxy")
}

/// The module, as `build.sh` has left it.
pub fn module() -> PathBuf {
    let file = proxy().join("dist/regauth.wasm");
    assert!(file.is_file(), "{} is missing: run bindings-wasm/proxy/build.sh", file.display());
    file
}
