//! Writes what distribution v3 asks for each route to `tests/vectors/server/routes.jsonl`.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a program that writes a file")]

use std::io::Result;
use std::path::Path;

use regauth_servers::routes;

fn main() -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/server/routes.jsonl");
    let lines = routes::record()?;
    std::fs::write(&file, lines.join("\n") + "\n")?;
    println!("{} requests to {} targets in {}", lines.len() * routes::METHODS.len(), lines.len(), file.display());
    Ok(())
}
