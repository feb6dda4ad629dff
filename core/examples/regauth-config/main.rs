//! What configuration files come to: `cargo run -p regauth --example regauth-config -- explain IMAGE --docker-certs DIR`.
//!
//! `explain` prints the hops of an image, which certificate each host gets and from which file, or why none, and what is
//! missing for the token hosts given. `lint` prints what is wrong, with file, line and remedy; exit 1 if any is an error.
//! `envoy` prints clusters and the plugin's configuration. Exit 2 for wrong arguments.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)] // a program: arguments, clock, files

mod envoy;
mod options;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::SystemTime;

use regauth::config::{Diagnostic, Explanation, Model, Severity};
use regauth::time::Time;
use regauth::{Origin, Reference};

const USAGE: &str = "\
usage: regauth-config explain IMAGE [--json] [--token-host ORIGIN..] SOURCES
       regauth-config lint [--json] SOURCES
       regauth-config envoy [--token-host ORIGIN..] SOURCES

SOURCES, of which an earlier one holds before a later one:
";

fn main() -> ExitCode {
    match run(std::env::args_os().skip(1).collect()) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("{why}\n\n{USAGE}{}", options::HELP);
            ExitCode::from(2)
        }
    }
}

fn run(mut args: Vec<OsString>) -> Result<ExitCode, String> {
    let sources = options::options(&mut args)?;
    let text = |arg: OsString| arg.into_string().map_err(|_| "an argument is no text".to_string());
    let args = &mut args.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
    let json = take_flag(args, "--json");
    let token_hosts = take_origins(args)?;
    let command = if args.is_empty() { return Err("no command".into()) } else { args.remove(0) };
    let image = if command == "explain" {
        let name = if args.is_empty() { return Err("explain wants an image name".into()) } else { args.remove(0) };
        Some(Reference::parse(&name).map_err(|flaw| format!("{name}: {flaw}"))?)
    } else {
        None
    };
    if let Some(other) = args.first() {
        return Err(format!("{other} is no option"));
    }
    if sources.is_empty() {
        return Err("no source is named".into());
    }
    let mut model = sources.model(now());
    let (pem, system) = options::system_roots();
    model.roots.pem = pem;
    match (command.as_str(), image) {
        ("explain", Some(image)) => {
            let explained = Explanation::new(model, &image, &token_hosts, system).map_err(|error| error.to_string())?;
            print!("{}", if json { explained.json() } else { explained.text() });
            Ok(ExitCode::SUCCESS)
        }
        ("lint", _) => Ok(lint(model, json)),
        ("envoy", _) => {
            print!("{}", envoy::print(&model, &token_hosts, system.as_deref()));
            Ok(ExitCode::SUCCESS)
        }
        _ => Err(format!("{command} is no command")),
    }
}

fn lint(model: Model, json: bool) -> ExitCode {
    let (_, mut found) = model.into_config();
    found.sort_by(|a, b| (b.severity, &a.place).cmp(&(a.severity, &b.place)));
    if json {
        let all: Vec<_> = found.iter().map(Diagnostic::json).collect();
        println!("{}", serde_json::json!(all));
    } else {
        for one in &found {
            println!("{}: {}: {} [{}]\n    {}", one.severity.as_str(), one.place, one.what, one.code, one.remedy);
        }
        let count = |severity| found.iter().filter(|one| one.severity == severity).count();
        println!(
            "{} errors, {} warnings, {} notes",
            count(Severity::Error),
            count(Severity::Warning),
            count(Severity::Info)
        );
    }
    let bad = found.iter().any(|one| one.severity == Severity::Error);
    if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn take_flag(args: &mut Vec<String>, name: &str) -> bool {
    let before = args.len();
    args.retain(|arg| arg != name);
    args.len() < before
}

fn take_origins(args: &mut Vec<String>) -> Result<Vec<Origin>, String> {
    let mut origins = Vec::new();
    while let Some(at) = args.iter().position(|arg| arg == "--token-host") {
        args.remove(at);
        let first = origins.len();
        while args.get(at).is_some_and(|arg| arg.contains("://")) {
            let text = args.remove(at);
            origins.push(Origin::parse(&text).map_err(|flaw| format!("{text} {flaw}"))?);
        }
        if origins.len() == first {
            return Err("--token-host wants an origin such as https://auth.example".into());
        }
    }
    Ok(origins)
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
