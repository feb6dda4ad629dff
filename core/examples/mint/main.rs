//! Short-lived certificates from the command line: `cargo run -p regauth --features mint --example mint -- --help`.
//!
//! The one file of this example that reads the clock, takes randomness and writes is this one; what it writes comes from
//! [`regauth::mint`].
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods, reason = "a program")]

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use lexopt::prelude::*;
use regauth::Time;
use regauth::mint::{Bundle, buildkitd};

const HELP: &str = "\
mint buildkitd [--dns NAME]... [--ip ADDRESS]... [--uri URI] [--ttl TIME] [--port N] -o DIRECTORY

Writes a CA's certificate and server, client and health-check certificates with their keys, each file with mode
0600, and prints the commands that use them. The CA's key is never written: when the time is over, mint again.

  --dns, --ip   what clients connect to; localhost and 127.0.0.1 if there is none
  --uri         identity in the client's certificate, such as spiffe://example.org/builder/1
  --ttl         life: 30m, 4h, 90s; 4h unless given, 24h at the most
  --port        what buildkitd listens on: 1234 unless given
  -o            directory to write to; it is made, and nothing in it is written over
";

type Error = Box<dyn std::error::Error>;

struct Wanted {
    names: Vec<String>,
    uri: Option<String>,
    ttl: u64,
    port: u16,
    directory: PathBuf,
}

fn main() -> ExitCode {
    match arguments().and_then(|wanted| wanted.map_or(Ok(()), |wanted| run(&wanted))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mint: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Option<Wanted>, Error> {
    let mut wanted = Wanted { names: Vec::new(), uri: None, ttl: 4 * 3600, port: 1234, directory: PathBuf::new() };
    let mut command = None;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("dns" | "ip") => wanted.names.push(parser.value()?.string()?),
            Long("uri") => wanted.uri = Some(parser.value()?.string()?),
            Long("ttl") => wanted.ttl = seconds(&parser.value()?.string()?)?,
            Long("port") => wanted.port = parser.value()?.parse()?,
            Short('o') | Long("output") => wanted.directory = parser.value()?.into(),
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(None);
            }
            Value(name) if command.is_none() => command = Some(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    if command.as_deref() != Some("buildkitd") || wanted.directory.as_os_str().is_empty() {
        return Err(format!("say what to mint, and where to\n\n{HELP}").into());
    }
    if wanted.names.is_empty() {
        wanted.names = vec!["localhost".into(), "127.0.0.1".into()];
    }
    Ok(Some(wanted))
}

fn seconds(text: &str) -> Result<u64, Error> {
    let wrong = || format!("{text:?} is no life; write 90s, 30m or 4h");
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong().into()),
    };
    digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit)).ok_or_else(|| wrong().into())
}

fn run(wanted: &Wanted) -> Result<(), Error> {
    let names: Vec<&str> = wanted.names.iter().map(String::as_str).collect();
    let mut entropy = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut entropy)?;
    let now = Time(u64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis())?);
    let bundle = buildkitd(&names, wanted.uri.as_deref(), now, wanted.ttl, &entropy)?;
    write(&bundle, &wanted.directory)?;
    let directory = fs::canonicalize(&wanted.directory)?;
    println!("# {} holds until {} (Unix seconds)", directory.display(), bundle.not_after.0 / 1000);
    for (what, command) in bundle.commands(&directory.to_string_lossy(), wanted.port) {
        println!("\n# {what}\n{command}");
    }
    Ok(())
}

fn write(bundle: &Bundle, directory: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    for (name, bytes) in &bundle.files {
        let path = directory.join(name);
        // Not over another file: its mode might be another, and its owner.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(bytes.expose()))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}
