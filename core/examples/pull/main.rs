//! Pulls an image through every hop (registry, token service, blob storage) and shows what each hop was given.
//!
//! ```text
//! cargo run -p regauth --features server,mint --example pull
//! cargo run -p regauth --features server,mint --example pull -- --help
//! ```
//!
//! A blocking host of the library: sockets, threads, files and a clock are here, decisions are not.
#![allow(clippy::disallowed_methods, reason = "a host: what the core is not allowed to do is done here")]

mod args;
mod blob;
#[path = "../regauth-config/options.rs"]
mod config_files;
mod demo;
mod digest;
mod failure;
mod fetch;
mod helper;
mod host;
mod layout;
mod manifest;
mod net;
mod places;
mod platform;
mod pool;
mod progress;
mod proxy;
mod pull;
mod setup;
mod table;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::io::{Write as _, stderr, stdout};
use std::process::ExitCode;
use std::time::Duration;

use regauth::config::Severity;
use regauth::{Config, Reference};

use args::Options;
use demo::Demo;
use failure::{Exit, Failure};
use host::Host;
use layout::Layout;
use places::Places;
use platform::Platform;
use progress::Progress;
use proxy::Proxies;
use pull::{Image, Pulled, pull};

/// Seconds without a byte after which a connection counts as broken.
const TIMEOUT: u64 = 30;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            _ = writeln!(stderr(), "pull: {failure}");
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn run() -> Result<(), Failure> {
    let options = args::parse(std::env::args_os().skip(1))?;
    if options.help {
        return say(&args::help());
    }
    let Some(name) = &options.image else { return demonstrate(&options) };
    let (config, found) = setup::config(&options, name)?;
    for one in found.iter().filter(|one| options.explain || one.severity > Severity::Info) {
        note(&one.to_string())?;
    }
    let host = host(&options, config, Proxies::new(|name| std::env::var(name).ok())?)?;
    let pulled = pull_all(&options, &host, name)?;
    let done = format!("{name} is {}, {} blobs, {} bytes", pulled.manifest.digest, pulled.blobs, pulled.bytes);
    if options.json { note(&done) } else { say(&format!("{done}\n")) }
}

fn demonstrate(options: &Options) -> Result<(), Failure> {
    let demo = Demo::start()?;
    let host = host(options, demo.config.clone(), Proxies::default())?;
    if !options.json {
        say(&format!("{}\n", demo.legend()))?;
    }
    pull_all(options, &host, &demo.name)?;
    let verdict = demo.verdict()?;
    if options.json { note(&verdict) } else { say(&format!("{verdict}\n")) }
}

fn host(options: &Options, config: Config, proxies: Proxies) -> Result<Host, Failure> {
    let timeout = Duration::from_secs(options.timeout.unwrap_or(TIMEOUT));
    Host::new(config, proxies, timeout, options.explain)
}

/// Pulls, and shows the table whatever comes of it.
fn pull_all(options: &Options, host: &Host, name: &Reference) -> Result<Pulled, Failure> {
    let platform = options.platform.clone().unwrap_or_else(Platform::here);
    let image = Image { places: Places::of(&host.agent, name), name, platform };
    let result = pull_into(options, host, &image);
    let rows = host.rows();
    if options.json {
        say(&table::json(&rows))?;
    } else if !rows.is_empty() {
        say(&format!("{}\n", table::text(&rows)))?;
    }
    if options.explain {
        note(host.transcripts().trim_end())?;
    }
    result
}

fn pull_into(options: &Options, host: &Host, image: &Image<'_>) -> Result<Pulled, Failure> {
    let progress = Progress::new();
    let layout = options.output.as_deref().map(Layout::create).transpose()?;
    let pulled = pull(host, 1, image, layout.as_ref(), &progress)?;
    if let Some(layout) = layout {
        layout.finish(&pulled.manifest, image.name.tag())?;
    }
    if options.twice {
        pull(host, 2, image, None, &progress)?;
    }
    Ok(pulled)
}

/// Writes to standard output. A reader that has gone away has seen enough.
fn say(text: &str) -> Result<(), Failure> {
    match stdout().lock().write_all(text.as_bytes()).and_then(|()| stdout().flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            let what = format!("standard output cannot be written: {}", failure::reason(&error));
            Err(Failure::new(Exit::Files, what, "Free some space where it goes to."))
        }
        _ => Ok(()),
    }
}

/// Writes a line beside the output.
fn note(text: &str) -> Result<(), Failure> {
    _ = writeln!(stderr(), "{text}");
    Ok(())
}
