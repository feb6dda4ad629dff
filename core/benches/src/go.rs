//! The peers in Go: one process that measures what it is asked for, a line each.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::meter::Cost;
use crate::table::{Entry, other};

/// `None` where there is no Go: its peers are left out.
pub(crate) struct Go(Option<RefCell<Running>>);

struct Running {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Go {
    /// Builds the program and starts it; `files` is where certificates lie.
    pub(crate) fn start(vectors: &str, files: &Path) -> Self {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/go");
        let program = files.join("peers");
        let built = Command::new("go").args(["build", "-o"]).arg(&program).arg(".").current_dir(source).status();
        if !built.is_ok_and(|status| status.success()) {
            println!("Go peers are left out: `go build` in {source} did not work.");
            return Self(None);
        }
        let child = Command::new(program).arg(vectors).arg(files).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("the program that was just built");
        let (to, from) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        Self(Some(RefCell::new(Running { child, to, from: BufReader::new(from) })))
    }

    /// What the process answers to each of these lines.
    pub(crate) fn entries<'a>(&'a self, asked: &[(&str, &'a str)]) -> Vec<Entry<'a>> {
        let Some(running) = &self.0 else { return Vec::new() };
        asked.iter().map(|(name, line)| other(*name, || running.borrow_mut().ask(line))).collect()
    }
}

impl Running {
    fn ask(&mut self, line: &str) -> Cost {
        writeln!(self.to, "{line}").expect("the process");
        let mut answer = String::new();
        self.from.read_line(&mut answer).expect("the process");
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{line}: {answer}"));
        let number = |name: &str| answer[name].as_f64().unwrap_or_else(|| panic!("{line}: {answer}"));
        Cost { figure: number("figure"), allocations: number("allocations") }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
