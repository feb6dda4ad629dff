//! Envoy with the plugin, as `examples/envoy.yaml` has it, in front of a registry of `regauth-servers`.

use std::fs;
use std::io::{Error, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use regauth_servers::{Pair, Process, World, free_port};

use crate::{client, module, proxy};

/// The program, which `tests/servers/envoy.sh` installs.
pub fn program() -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin/envoy");
    file.is_file().then_some(file)
}

/// What differs from the example.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Members of the plugin's configuration beside `registries`.
    pub plugin: &'static str,
    /// The plugin before the router instead of in its upstream filters.
    pub downstream: bool,
    /// No plugin at all.
    pub bare: bool,
    /// Worker threads.
    pub workers: usize,
    /// Clusters, plugin configuration and the registry's cluster, in the place of the example's.
    pub generated: Option<(String, String, String)>,
    /// Another module.
    pub module: Option<PathBuf>,
    /// Changes of the text, from and to.
    pub edits: Vec<(&'static str, String)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            plugin: "",
            downstream: false,
            bare: false,
            workers: 4,
            generated: None,
            module: None,
            edits: Vec::new(),
        }
    }
}

/// A running Envoy. Dropping it ends it.
#[derive(Debug)]
pub struct Envoy {
    /// Where clients go, in plain http.
    pub address: SocketAddr,
    admin: SocketAddr,
    _process: Process,
    directory: PathBuf,
}

impl Envoy {
    /// Starts it in front of `world`.
    pub fn start(world: &World, setup: &Setup) -> Result<Self> {
        let mut tries = 0;
        loop {
            let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let (address, admin) = (at(free_port(&[Ipv4Addr::LOCALHOST])?), at(free_port(&[Ipv4Addr::LOCALHOST])?));
            let directory = world.directory().join(format!("envoy-{}", address.port()));
            fs::create_dir(&directory)?;
            identity(&directory, &world.pki.client)?;
            let file = directory.join("envoy.yaml");
            fs::write(&file, configuration(world, setup, address, admin, &directory)?)?;
            let mut command = command(&file)?;
            command.args(["--concurrency", &setup.workers.to_string()]);
            match Process::start(command, &directory.join("envoy.log"), &[address, admin]) {
                Ok(process) => return Ok(Self { address, admin, _process: process, directory }),
                // Somebody else took a port.
                Err(_) if tries < 2 => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// A counter or gauge, over all workers; 0 where it is not there.
    pub fn stat(&self, name: &str) -> Result<u64> {
        let answer = client::get(self.admin, &format!("/stats?filter={name}"))?;
        let text = answer.text();
        Ok(text.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok()).sum())
    }

    /// Envoy's own log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("envoy.log")).unwrap_or_default()
    }

    /// Replaces the identity by file, as the example says.
    pub fn rotate(&self, pair: &Pair) -> Result<()> {
        let next = self.directory.join("next");
        fs::create_dir_all(&next)?;
        identity(&next, pair)?;
        fs::rename(next.join("identity.yaml"), self.directory.join("identity.yaml"))
    }

    /// The process id of Envoy.
    pub fn id(&self) -> u32 {
        self._process.id()
    }
}

fn identity(directory: &Path, pair: &Pair) -> Result<()> {
    let text = fs::read_to_string(proxy().join("examples/identity.yaml"))?
        .replace("/etc/envoy/client.crt", &pair.cert.display().to_string())
        .replace("/etc/envoy/client.key", &pair.key.display().to_string());
    fs::write(directory.join("identity.yaml"), text)
}

/// The example, with the places that it marks filled in.
pub fn configuration(
    world: &World,
    setup: &Setup,
    listen: SocketAddr,
    admin: SocketAddr,
    directory: &Path,
) -> Result<String> {
    let (registry, tokens) = (world.registry(), world.token_host());
    let mut text = fs::read_to_string(proxy().join("examples/envoy.yaml"))?;
    for (from, to) in &setup.edits {
        if !text.contains(from) {
            return Err(Error::other(format!("{from:?} is not in the example")));
        }
        text = text.replace(from, to);
    }
    for (host, at) in [("reg.example", registry), ("auth.example", tokens)] {
        text = text
            .replace(&format!("{host}:443"), &at.to_string())
            .replace(&format!("https://{host}"), &format!("https://{at}"))
            .replace(
                &format!("address: {host}, port_value: 443"),
                &format!("address: {}, port_value: {}", at.ip(), at.port()),
            )
            .replace(
                &format!("DNS, matcher: {{exact: {host}}}"),
                &format!("IP_ADDRESS, matcher: {{exact: {}}}", at.ip()),
            )
            // A literal address is no server name.
            .replace(&format!("        sni: {host}  # HERE\n"), "");
    }
    text = text
        .replace("port_value: 5000", &format!("port_value: {}", listen.port()))
        .replace("/etc/envoy/regauth.wasm", &setup.module.clone().unwrap_or_else(module).display().to_string())
        .replace("/etc/envoy/identity.yaml", &directory.join("identity.yaml").display().to_string())
        .replace("/etc/ssl/certs/ca-certificates.crt", &world.pki.ca.display().to_string());
    if !setup.plugin.is_empty() {
        text = text.replace("\"placement\": \"upstream\",", &format!("\"placement\": \"upstream\", {},", setup.plugin));
    }
    if let Some((clusters, plugin, cluster)) = &setup.generated {
        let value = text.find("                        {\n").ok_or_else(odd)?;
        let end = text.find("              - name: envoy.filters.http.upstream_codec\n").ok_or_else(odd)?;
        let indented: String = plugin.lines().map(|line| format!("                        {line}\n")).collect();
        text.replace_range(value..end, &indented);
        let own = text.find("  clusters:\n").ok_or_else(odd)?;
        text.truncate(own);
        text =
            format!("{text}  clusters:\n{clusters}").replace("cluster: registry\n", &format!("cluster: {cluster}\n"));
    }
    if setup.bare {
        let (start, end) = plugin(&text)?;
        text.replace_range(start..end, "");
    }
    if setup.downstream {
        text = downstream(&text)?.replace("HOST", &listen.to_string());
    }
    Ok(format!("admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {}}}}}}}\n{text}", admin.port()))
}

fn odd() -> Error {
    Error::other("the example has another shape")
}

/// Where the plugin's filter begins and ends.
fn plugin(text: &str) -> Result<(usize, usize)> {
    let start = text.find("              - name: regauth\n").ok_or_else(odd)?;
    let end = text.find("              - name: envoy.filters.http.upstream_codec\n").ok_or_else(odd)?;
    Ok((start, end))
}

/// Moves the plugin before the router.
fn downstream(text: &str) -> Result<String> {
    let (start, end) = plugin(text)?;
    let filter: String =
        text[start..end].lines().map(|line| format!("{}\n", line.get(4..).unwrap_or_default())).collect();
    let router = text.find("          - name: envoy.filters.http.router\n").ok_or_else(odd)?;
    let chain = text.find("              # In this chain, which every attempt passes").ok_or_else(odd)?;
    let rest = text.find("  clusters:\n").ok_or_else(odd)?;
    let filter = filter
        .replace("\"placement\": \"upstream\"", "\"placement\": \"downstream\"")
        .replace("\"realms\":", "\"hosts\": [\"HOST\"], \"realms\":");
    Ok([&text[..router], &filter, &text[router..chain], &text[rest..]].concat())
}

fn command(file: &Path) -> Result<Command> {
    let program = program().ok_or_else(|| Error::other("Envoy is missing: run tests/servers/envoy.sh"))?;
    let mut command = Command::new(program);
    command.arg("-c").arg(file).args(["--use-dynamic-base-id", "--disable-hot-restart", "-l", "warning"]);
    Ok(command)
}

/// `envoy --mode validate`, which loads the module and gives it its configuration.
pub fn validate(file: &Path) -> Result<Output> {
    command(file)?.args(["--mode", "validate"]).output()
}
