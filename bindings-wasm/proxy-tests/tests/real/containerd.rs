//! containerd as its users have it: the daemon itself fetches and pushes (its transfer service), told by `ctr`. Envoy is in
//! its `hosts.toml` as the mirror of a registry that the daemon cannot reach; there are no credentials and no certificate.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use regauth_proxy_tests::envoy::Envoy;
use regauth_servers::{Process, Record, World};

use crate::support::{home, judge, run, stock, tool};

struct Containerd {
    ctr: PathBuf,
    socket: String,
    hosts: String,
    home: PathBuf,
    _process: Process,
}

impl Containerd {
    fn start(world: &World, envoy: &Envoy) -> Option<Self> {
        let (daemon, ctr) = (tool("containerd")?, tool("ctr")?);
        let directory = world.directory().join("containerd");
        let (hosts, socket) = (directory.join("certs.d"), directory.join("socket").display().to_string());
        fs::create_dir_all(hosts.join("reg.test")).unwrap();
        let mirror =
            format!("[host.\"http://{}\"]\n  capabilities = [\"pull\", \"resolve\", \"push\"]\n", envoy.address);
        fs::write(hosts.join("reg.test/hosts.toml"), mirror).unwrap();
        let config = directory.join("config.toml");
        fs::write(&config, configuration(&directory, &socket)).unwrap();
        let mut command = Command::new(daemon);
        command.arg("--config").arg(config);
        let process = Process::start(command, &directory.join("containerd.log"), &[]).unwrap();
        let home = home(world);
        let this = Self { ctr, socket, hosts: hosts.display().to_string(), home, _process: process };
        // It is there when it answers.
        for _ in 0..400 {
            if this.command(&["version"]).output().unwrap().status.success() {
                return Some(this);
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("containerd does not answer: {}", fs::read_to_string(directory.join("containerd.log")).unwrap());
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.ctr);
        command.args(["--address", &self.socket]).args(arguments);
        command
    }

    fn ctr(&self, arguments: &[&str]) -> String {
        run(self.command(arguments), &self.home)
    }

    fn pull(&self, image: &str) {
        self.ctr(&["images", "pull", "--snapshotter", "native", "--hosts-dir", &self.hosts, image]);
    }

    fn push(&self, image: &str) {
        self.ctr(&["images", "push", "--hosts-dir", &self.hosts, image]);
    }
}

/// All that it writes is in `directory`; the snapshots are plain copies, which every file system can have. Kubernetes'
/// interface is left out, which looks after networks.
fn configuration(directory: &Path, socket: &str) -> String {
    format!(
        r#"version = 3
root = "{at}/root"
state = "{at}/state"
disabled_plugins = ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri", "io.containerd.nri.v1.nri"]
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{at}/opt"
[[plugins."io.containerd.transfer.v1.local".unpack_config]]
  platform = "linux/amd64"
  snapshotter = "native"
"#,
        at = directory.display()
    )
}

/// The scopes of the token requests among these, in order.
fn scopes(records: &[Record]) -> Vec<String> {
    let tokens = records.iter().filter(|record| record.is_token());
    let scopes = tokens.map(|record| {
        let query = record.target.split_once('?').map_or("", |(_, query)| query);
        let scopes: Vec<_> = query.split('&').filter_map(|pair| pair.strip_prefix("scope=")).collect();
        scopes.join(" ").replace("%3A", ":").replace("%2F", "/").replace("%2C", ",")
    });
    scopes.collect()
}

/// Whether a request of this method, for a path with this in it, had this answer.
fn has(records: &[Record], method: &str, part: &str, status: u16) -> bool {
    records.iter().any(|record| (record.method == method && record.status == status) && record.target.contains(part))
}

#[test]
fn containerd() {
    // One worker: it learns the challenge and the tokens, once.
    let Some((world, envoy)) = stock(1) else { return };
    let Some(containerd) = Containerd::start(&world, &envoy) else { return };
    let mut seen = 0;
    let mut fresh = |what: &str| {
        let records = world.records().unwrap().split_off(seen);
        seen += records.len();
        println!("{what}: {} requests, tokens: {:?}", records.len(), scopes(&records));
        records
    };
    let from = format!("reg.test/{}", world.seed.repository);

    // Cold: one challenge, one token.
    containerd.pull(&format!("{from}:one"));
    let records = fresh("a cold pull");
    assert_eq!(scopes(&records), ["repository:demo/app:pull"]);
    assert_eq!(
        records.iter().filter(|record| record.status != 200).map(|record| record.status).collect::<Vec<_>>(),
        [401]
    );
    // The daemon says of which registry it asks its mirror, and that goes on to the registry.
    assert!(has(&records, "HEAD", "/v2/demo/app/manifests/one?ns=reg.test", 200));
    let blobs = |records: &[Record]| records.iter().filter(|record| record.is_blob() && record.status == 200).count();
    assert_eq!(blobs(&records), 4);

    // Warm: the same with nothing in the daemon's store, by an index of two platforms. Of the other one it takes the config.
    containerd.ctr(&["images", "rm", "--sync", &format!("{from}:one")]);
    containerd.pull(&format!("{from}:multi"));
    let records = fresh("a warm pull");
    assert!(records.iter().all(|record| record.status == 200 && record.authz.as_deref() == Some("Bearer")));
    assert_eq!((scopes(&records).len(), blobs(&records)), (0, 5));

    // A push to another repository, whose blobs are mounted from the first: the token is for both.
    containerd.pull(&format!("{from}:one"));
    containerd.ctr(&["images", "tag", &format!("{from}:one"), "reg.test/team/mounted:one"]);
    fresh("the same image, by its own tag");
    containerd.push("reg.test/team/mounted:one");
    let records = fresh("a cold push with mounts");
    let both = "repository:team/mounted:pull,push repository:demo/app:pull";
    assert_eq!(scopes(&records), ["repository:team/mounted:pull", both]);
    assert!(has(&records, "POST", "from=demo/app", 201) && has(&records, "PUT", "/manifests/one", 201));

    // By the address of Envoy, of which the daemon knows no blobs: they are uploaded.
    let (here, tag) = (format!("{}/team/pushed:one", envoy.address), ["images", "tag"]);
    containerd.ctr(&[&tag[..], &[&format!("{from}:one"), &here]].concat());
    containerd.push(&here);
    let records = fresh("a cold push with uploads");
    assert_eq!(scopes(&records), ["repository:team/pushed:pull", "repository:team/pushed:pull,push"]);
    assert_eq!(records.iter().filter(|record| record.method == "PUT" && record.status == 201).count(), 5);

    let second = format!("{}/team/pushed:two", envoy.address);
    containerd.ctr(&[&tag[..], &[&here, &second]].concat());
    containerd.push(&second);
    let records = fresh("a warm push");
    assert_eq!(scopes(&records).len(), 0);
    assert!(records.iter().all(|record| record.authz.as_deref() == Some("Bearer")));
    assert!(has(&records, "PUT", "/v2/team/pushed/manifests/two", 201));

    // What was pushed is what was pulled.
    for image in ["reg.test/team/mounted:one", &second] {
        containerd.ctr(&["images", "rm", "--sync", image]);
        containerd.pull(image);
        let listed = containerd.ctr(&["images", "ls", &format!("name=={image}")]);
        assert!(listed.contains(&world.seed.image.manifest.digest), "{listed}");
    }
    judge(&world, &envoy);
}
