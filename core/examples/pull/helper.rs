//! Credential helpers: `docker-credential-NAME get`, a program that somebody else has written.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use regauth::config::helper::{MAX_OUTPUT, is_name, read};
use regauth::{Found, HelperFailure, Query, Secret};
use zeroize::Zeroizing;

use crate::failure::reason;

/// For its answer. Some go to a service by the network first, and some ask the user for a password.
const LIMIT: Duration = Duration::from_secs(60);

/// Asks the helper that the query names.
pub(crate) fn look_up(query: &Query) -> Result<Option<Found>, HelperFailure> {
    let Some(helper) = &query.helper else { return Ok(None) };
    if !is_name(&helper.name) {
        return Err(HelperFailure("its name is no part of a program's name".into()));
    }
    let name = format!("docker-credential-{}", helper.name);
    run(&mut Command::new(&name), &helper.url, LIMIT).map_err(|why| HelperFailure(format!("{name}: {why}")))
}

/// Runs it with what it is asked for on its standard input; what it says on standard error is for the user.
fn run(command: &mut Command, url: &str, limit: Duration) -> Result<Option<Found>, HelperFailure> {
    let until = Instant::now() + limit;
    let failed = |what: String| HelperFailure(what);
    let mut child = command
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("it cannot be run: {}", reason(&error))))?;
    if let Some(mut stdin) = child.stdin.take() {
        // It may not want it, and be gone. A registry's name fits into a pipe.
        _ = stdin.write_all(url.as_bytes());
    }
    let (send, receive) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        // A thread of its own, as a read has no limit; if a child of the helper keeps the pipe open, it is left behind.
        thread::spawn(move || {
            // Room from the start, so that no half of a secret is left behind in memory.
            let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_OUTPUT + 2));
            let done = stdout.take(MAX_OUTPUT as u64 + 1).read_to_end(&mut bytes);
            _ = send.send(done.map(|_| Secret::from(bytes)));
        });
    }
    let late = || failed(format!("no answer in {} s", limit.as_secs()));
    let printed = match receive.recv_timeout(until.saturating_duration_since(Instant::now())) {
        Ok(Ok(printed)) => printed,
        Ok(Err(error)) => {
            end(&mut child);
            return Err(failed(format!("its output cannot be read: {}", reason(&error))));
        }
        Err(_) => {
            end(&mut child);
            return Err(late());
        }
    };
    if printed.expose().len() > MAX_OUTPUT {
        end(&mut child);
        return read(true, &printed);
    }
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return read(status.success(), &printed),
            Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(5)),
            _ => {
                end(&mut child);
                return Err(late());
            }
        }
    }
}

fn end(child: &mut Child) {
    _ = child.kill();
    _ = child.wait();
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use regauth::Credentials;

    fn shell(script: &str, limit: u64) -> Result<Option<Found>, HelperFailure> {
        let mut command = Command::new("/bin/sh");
        // `get` is its first argument.
        command.args(["-c", script, "helper"]);
        run(&mut command, "reg.example:5000", Duration::from_secs(limit))
    }

    #[test]
    fn what_helpers_do() {
        let script = "test \"$1\" = get && url=$(cat) && printf '{\"Username\":\"%s\",\"Secret\":\"p\"}' \"$url\"";
        let Credentials::Basic { user, password } = shell(script, 60).unwrap().unwrap().credentials else { panic!() };
        assert_eq!((user.as_str(), password.expose()), ("reg.example:5000", &b"p"[..]));
        assert!(shell("echo credentials not found in native keychain; exit 1", 60).unwrap().is_none());
        for (script, why) in [
            ("echo locked; exit 1", "locked"),
            ("exit 0", "it printed no JSON with Username and Secret"),
            ("yes", "it printed more than 1 MiB"),
            ("exec sleep 100", "no answer in 0 s"),
            ("exec >&-; exec sleep 100", "no answer in 0 s"),
        ] {
            let limit = if why.starts_with("no answer") { 0 } else { 60 };
            assert_eq!(shell(script, limit).unwrap_err().0, why, "{script}");
        }
        let gone = run(&mut Command::new("/nowhere/docker-credential-x"), "x", Duration::from_secs(60));
        assert_eq!(gone.unwrap_err().0, "it cannot be run: no such file or directory");
    }
}
