//! One run, one table: what regauth costs, beside others in the same run. CPU time of the process, 11 rounds in turn,
//! medians. Times are shown and never asserted; counts are asserted by the tests of the crate.
//!
//! What cannot be called from outside is left out: the parsers of oci-client, go-containerregistry and oras-go.
//!
//! `make bench`, or with the names of groups: `challenges authorize answers memory waiters server tls`.
#![allow(clippy::disallowed_methods)] // a host, with files and a clock

mod go;
mod http;
mod meter;
mod pki;
mod server;
mod table;
mod tls;

use go::Go;

/// Measures and prints one group or several.
type Run<'a> = &'a dyn Fn(&Go);

fn main() {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let files = std::env::temp_dir().join(format!("regauth-bench-{}", std::process::id()));
    std::fs::create_dir_all(&files).expect("a temporary directory");
    let pki = pki::Pki::new(&files);
    let go = Go::start(http::VECTORS, &files);
    let groups: [(&str, Run<'_>); 7] = [
        ("challenges", &http::challenges),
        ("authorize", &http::authorize),
        ("answers", &http::answers),
        ("memory", &http::memory),
        ("waiters", &http::waiters),
        ("server", &server::tokens),
        ("tls", &|go| tls::all(go, &pki)),
    ];
    for (name, run) in groups {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            run(&go);
        }
    }
    drop(go);
    _ = std::fs::remove_dir_all(files);
}
