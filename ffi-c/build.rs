//! Names the shared library for the linker: its soname holds the number that `regauth_abi` gives.
#![allow(clippy::disallowed_methods, reason = "cargo speaks to a build script by its environment")]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libregauth.so.1");
    }
}
