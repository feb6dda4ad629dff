//! `include/regauth.h` is what cbindgen makes of this crate. `REGAUTH_WRITE=1 cargo test -p regauth-c --test header`
//! writes it.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "it compares files")]

use std::path::Path;

#[test]
fn the_committed_header_is_up_to_date() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = here.join("include/regauth.h");
    let config = cbindgen::Config::from_file(here.join("cbindgen.toml")).unwrap();
    let mut made = Vec::new();
    cbindgen::Builder::new().with_crate(here).with_config(config).generate().unwrap().write(&mut made);
    if std::env::var_os("REGAUTH_WRITE").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read(&path).unwrap_or_default();
    assert!(made == committed, "include/regauth.h is old: REGAUTH_WRITE=1 cargo test -p regauth-c --test header");
}
