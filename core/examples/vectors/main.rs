//! Runs test vectors: `cargo run -p regauth --example vectors -- FILE...`
//!
//! Prints each failing id with what was expected and what came, and last `N passed, N failed`; exit 1 if any failed.
//! The format is described in `tests/vectors/README.md`.
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::indexing_slicing)] // a program, and JSON that indexes to null

mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    for file in std::env::args().skip(1) {
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) => {
                println!("{file}: {error}");
                failed += 1;
                continue;
            }
        };
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            match run::line(line) {
                Ok(_) => passed += 1,
                Err((id, why)) => {
                    println!("{file}:{} {id}: {why}", number + 1);
                    failed += 1;
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
