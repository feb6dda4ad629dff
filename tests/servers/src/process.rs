//! Programs: where they are, how they start, how they end.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Error, ErrorKind, Result, Write as _, stderr};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// A program that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Apache: Debian's apache2-bin, of which no service is started.
    Apache,
    /// Caddy.
    Caddy,
    /// curl.
    Curl,
    /// Envoy, installed by `envoy.sh` beside this crate's manifest.
    Envoy,
    /// The server of `go/` beside this crate's manifest, built by `install.sh`.
    GoMtls,
    /// nginx.
    Nginx,
    /// The openssl command.
    Openssl,
    /// Debian's docker-registry: distribution 2.8.
    Registry28,
    /// distribution v3, built by `install.sh`.
    RegistryV3,
    /// skopeo.
    Skopeo,
    /// SoftHSM's command, which comes with its library.
    SoftHsm,
}

impl Program {
    /// The file's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Apache => "apache2",
            Self::Caddy => "caddy",
            Self::Curl => "curl",
            Self::Envoy => "envoy",
            Self::GoMtls => "go-mtls",
            Self::Nginx => "nginx",
            Self::Openssl => "openssl",
            Self::Registry28 => "docker-registry",
            Self::RegistryV3 => "registry-v3",
            Self::Skopeo => "skopeo",
            Self::SoftHsm => "softhsm2-util",
        }
    }

    /// Where it is: `.tools/bin` of this repository, then `PATH`, then `/usr/sbin`, which a user's `PATH` may lack.
    pub fn find(self) -> Option<PathBuf> {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin");
        let path = env::var_os("PATH").unwrap_or_default();
        [tools]
            .into_iter()
            .chain(env::split_paths(&path))
            .chain([PathBuf::from("/usr/sbin")])
            .map(|directory| directory.join(self.name()))
            .find(|file| file.is_file())
    }

    /// A command that runs it, without this process's environment: a registry takes configuration from there.
    pub fn command(self) -> Result<Command> {
        let file = self
            .find()
            .ok_or_else(|| Error::other(format!("{} is missing: run tests/servers/install.sh", self.name())))?;
        let mut command = Command::new(file);
        command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
        Ok(command)
    }
}

/// One of the library's examples, built as the tests of the workspace are: the file to run.
pub fn example(name: &str) -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--workspace", "--features", "server,mint", "--message-format", "json"])
        .args(["--example", name])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()?;
    let lines = output.stdout.split(|byte| *byte == b'\n');
    let executable =
        |line| serde_json::from_slice::<serde_json::Value>(line).ok()?.get("executable")?.as_str().map(PathBuf::from);
    lines.filter_map(executable).next_back().ok_or_else(|| Error::other(format!("the example {name} was not built")))
}

/// Whether all of these can be run. If not, a test returns at once: this says `SKIPPED` and why.
///
/// # Panics
///
/// When one is missing and `CI=true`: there a test that does not run is a failure.
pub fn have(programs: &[Program]) -> bool {
    let missing: Vec<_> = programs.iter().filter(|program| program.find().is_none()).map(|p| p.name()).collect();
    if missing.is_empty() {
        return true;
    }
    let missing = missing.join(", ");
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "missing: {missing}: run tests/servers/install.sh");
    // Not eprintln!, which the test runner swallows.
    _ = writeln!(stderr(), "SKIPPED: missing: {missing}: run tests/servers/install.sh");
    false
}

/// A running program. Dropping it ends it and waits for its end.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    name: String,
}

impl Process {
    /// Starts `command` with standard output and error in `log`, and returns when all of `ports` accept connections.
    pub fn start(mut command: Command, log: &Path, ports: &[SocketAddr]) -> Result<Self> {
        // Another server that took a port meanwhile would answer in the place of this one.
        if let Some(port) = ports.iter().find(|port| TcpStream::connect_timeout(port, Duration::from_secs(1)).is_ok()) {
            return Err(Error::new(ErrorKind::AddrInUse, format!("somebody else listens on {port}")));
        }
        let output = File::create(log)?;
        let name = Path::new(command.get_program()).file_name().map(OsStr::to_string_lossy).unwrap_or_default().into();
        let child = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn()?;
        let mut process = Self { child, log: log.into(), name };
        for port in ports {
            process.wait_for(*port)?;
        }
        Ok(process)
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it now.
    pub fn end(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }

    fn wait_for(&mut self, port: SocketAddr) -> Result<()> {
        // 20 s: cold start of a Go program on a machine that also compiles.
        for _ in 0..800 {
            if let Some(status) = self.child.try_wait()? {
                return Err(self.trouble(&format!("ended at once ({status})")));
            }
            if TcpStream::connect_timeout(&port, Duration::from_secs(1)).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(25));
        }
        Err(self.trouble(&format!("does not listen on {port} after 20 s")))
    }

    fn trouble(&self, what: &str) -> Error {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(10)..).unwrap_or_default().join("\n");
        Error::other(format!("{} {what}. The end of its log:\n{tail}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// A temporary directory, removed with all that is in it; kept, and its path printed, when the test fails.
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    /// A new one, for this user only.
    pub fn new(name: &str) -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("regauth-{name}-{}-{count}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A path in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if thread::panicking() {
            _ = writeln!(stderr(), "logs and configuration are kept in {}", self.0.display());
        } else {
            _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// A port that is free on all of `hosts` now. It can be taken before it is used: whoever starts a server tries again.
pub fn free_port(hosts: &[Ipv4Addr]) -> Result<u16> {
    for _ in 0..100 {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = first.local_addr()?.port();
        drop(first);
        if hosts.iter().all(|host| TcpListener::bind((*host, port)).is_ok()) {
            return Ok(port);
        }
    }
    Err(Error::other("no free port in 100 tries"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_answers_in_the_place_of_a_process() {
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let directory = TempDir::new("process").unwrap();
        let ports = [other.local_addr().unwrap()];
        let started = Process::start(Command::new("sleep"), &directory.join("log"), &ports);
        assert_eq!(started.map(|_| ()).unwrap_err().kind(), ErrorKind::AddrInUse);
    }
}
