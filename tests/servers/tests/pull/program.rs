//! The example `pull`, built from the sources at hand and run as anybody would.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use regauth_servers::{PASSWORD, Program, Record, USER, World};
use serde_json::Value;

/// What came of one run.
pub(crate) struct Run {
    pub(crate) code: i32,
    /// The table's rows.
    pub(crate) rows: Vec<Value>,
    /// Standard error.
    pub(crate) said: String,
}

impl Run {
    /// The last line of standard error: the two sentences of a failure.
    pub(crate) fn failure(&self) -> &str {
        self.said.lines().last().and_then(|line| line.strip_prefix("pull: ")).unwrap_or_default()
    }

    pub(crate) fn rows_of(&self, pull: u64) -> Vec<&Value> {
        self.rows.iter().filter(|row| row["pull"] == pull).collect()
    }
}

/// Builds the program once, as a part of the same workspace and into the same directory, so that nothing is built
/// twice.
fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // target/debug/deps/pull-0123456789abcdef
        let me = std::env::current_exe().unwrap();
        let profile = me.ancestors().nth(2).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root).args(["build", "--quiet", "--workspace", "--features", "server,mint"]);
        cargo.args(["--example", "pull", "--message-format", "json", "--target-dir"]).arg(profile.parent().unwrap());
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        let output = cargo.stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "the example does not build");
        let messages = String::from_utf8(output.stdout).unwrap();
        let built = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|message| {
            let ours = message["target"]["name"] == "pull" && message["target"]["kind"][0] == "example";
            ours.then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
        });
        built.unwrap()
    })
}

/// Runs it with these arguments, the password on its standard input and nothing in its environment.
pub(crate) fn pull<A: AsRef<OsStr>>(arguments: &[A], password: &str) -> Run {
    pull_with(arguments, password, &[])
}

/// The same with these variables in its environment.
pub(crate) fn pull_with<A: AsRef<OsStr>>(arguments: &[A], password: &str, variables: &[(&str, &OsStr)]) -> Run {
    let mut command = Command::new(program());
    command
        .env_clear()
        .envs(variables.iter().copied())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may not want one, and be gone.
    _ = child.stdin.take().unwrap().write_all(password.as_bytes());
    let output = child.wait_with_output().unwrap();
    let (stdout, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    for secret in [PASSWORD, "cm9ib3Q6", "eyJ", "PRIVATE KEY"] {
        assert!(!stdout.contains(secret) && !said.contains(secret), "{secret} in\n{stdout}\n{said}");
    }
    let rows = stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    Run { code: output.status.code().unwrap(), rows, said }
}

/// The arguments of a good pull of `tag`.
pub(crate) fn arguments(world: &World, tag: &str) -> Vec<String> {
    let (pki, path) = (&world.pki, |path: &Path| path.display().to_string());
    let mut all = vec!["--json".to_string(), "--user".into(), USER.into(), "--password-stdin".into()];
    all.extend(["--ca".into(), path(&pki.ca)]);
    all.extend(["--cert".into(), path(&pki.client.cert), "--key".into(), path(&pki.client.key)]);
    all.push(format!("{}/{}:{tag}", world.registry(), world.seed.repository));
    all
}

pub(crate) fn briefs(records: &[Record]) -> String {
    records.iter().map(Record::brief).collect::<Vec<_>>().join("\n")
}

pub(crate) fn programs(world: regauth_servers::Kind) -> Vec<Program> {
    vec![Program::Nginx, Program::Skopeo, world.program()]
}
