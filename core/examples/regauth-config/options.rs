//! The options that name configuration files, and the reading of those files: the one place with `std::fs`.
//!
//! A program takes it in by `#[path = "../regauth-config/options.rs"] mod options;`, calls [`options`] on its arguments,
//! and gets a [`Model`] from what is left in [`Sources`].

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regauth::config::{Directory, Entry, File, Files, Importer, MAX_ENTRIES, MAX_FILE, Model};
use regauth::time::Time;

/// For a program's help.
pub(crate) const HELP: &str = "\
  --docker-certs DIR        Docker's certs.d
  --containers-certs DIR..  certs.d of podman, buildah, skopeo and CRI-O, in their search order
  --hosts DIR..             containerd's config_path, in its order
  --buildkitd FILE          buildkitd.toml
  --registries FILE         registries.yaml of k3s and RKE2
  --docker-config FILE      Docker's config.json
  --docker-auth-config FILE what is in DOCKER_AUTH_CONFIG
  --auth-json FILE..        podman's auth.json, in its order
  --kubernetes FILE..       image pull secrets
  --regauth FILE            regauth.toml
  --root DIR                absolute names in these files are looked for in here
  --windows                 directories of host:port are named without the colon, as on Windows";

/// Levels of directories: a root, a registry, and what a registry's files may name.
const MAX_DEPTH: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    DockerCerts,
    ContainersCerts,
    Hosts,
    Buildkitd,
    Registries,
    DockerConfig,
    DockerAuthConfig,
    AuthJson,
    Kubernetes,
    Regauth,
}

const OPTIONS: [(&str, Kind); 10] = [
    ("--docker-certs", Kind::DockerCerts),
    ("--containers-certs", Kind::ContainersCerts),
    ("--hosts", Kind::Hosts),
    ("--buildkitd", Kind::Buildkitd),
    ("--registries", Kind::Registries),
    ("--docker-config", Kind::DockerConfig),
    ("--docker-auth-config", Kind::DockerAuthConfig),
    ("--auth-json", Kind::AuthJson),
    ("--kubernetes", Kind::Kubernetes),
    ("--regauth", Kind::Regauth),
];

/// What the options name, in their order: an earlier source holds before a later one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    named: Vec<(Kind, Vec<PathBuf>)>,
    root: Option<PathBuf>,
    windows: bool,
}

/// Takes its options out of `args` and leaves the others.
pub(crate) fn options(args: &mut Vec<OsString>) -> Result<Sources, String> {
    let mut sources = Sources { windows: cfg!(windows), ..Sources::default() };
    let mut rest = Vec::new();
    let mut given = std::mem::take(args).into_iter().peekable();
    while let Some(arg) = given.next() {
        let text = arg.to_str().unwrap_or_default();
        let (name, inline) = match text.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(OsString::from(value))),
            _ => (text, None),
        };
        let kind = OPTIONS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        if arg == "--windows" {
            sources.windows = true;
            continue;
        }
        if kind.is_none() && name != "--root" {
            rest.push(arg);
            continue;
        }
        let value = inline.or_else(|| given.next()).ok_or_else(|| format!("{name} wants a name after it"))?;
        let Some(kind) = kind else {
            sources.root = Some(value.into());
            continue;
        };
        let mut paths = vec![PathBuf::from(value)];
        let many = matches!(kind, Kind::ContainersCerts | Kind::Hosts | Kind::AuthJson | Kind::Kubernetes);
        // Further names only where they are there: an image name may follow.
        let is_name = |next: &OsString| !next.to_string_lossy().starts_with('-') && Path::new(next).exists();
        while many && given.peek().is_some_and(is_name) {
            paths.extend(given.next().map(PathBuf::from));
        }
        let list = matches!(kind, Kind::ContainersCerts | Kind::Hosts);
        match sources.named.iter_mut().find(|(known, _)| list && *known == kind) {
            Some((_, known)) => known.append(&mut paths),
            None => sources.named.push((kind, paths)),
        }
    }
    *args = rest;
    Ok(sources)
}

impl Sources {
    /// Whether no option named anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// Reads and imports everything. Names of files in the files are read too.
    pub(crate) fn model(&self, now: Time) -> Model {
        let mut tried: Vec<String> = Vec::new();
        loop {
            let mut files = Files::new();
            for name in &tried {
                if let Some(entry) = read(&self.real(Path::new(name)), MAX_DEPTH) {
                    files.put(name.as_str(), entry);
                }
            }
            let mut importer = Importer::new().now(now).windows(self.windows).files(files);
            self.import(&mut importer);
            let more: Vec<String> =
                importer.wanted().filter(|name| !tried.iter().any(|known| known == name)).map(str::to_string).collect();
            if more.is_empty() {
                return importer.finish();
            }
            tried.extend(more);
        }
    }

    fn import(&self, importer: &mut Importer) {
        for (kind, paths) in &self.named {
            match kind {
                Kind::DockerCerts => paths.iter().for_each(|path| importer.docker_certs(&directory(path))),
                Kind::ContainersCerts => importer.containers_certs(&search(paths)),
                Kind::Hosts => importer.hosts(&search(paths)),
                _ => {
                    for path in paths {
                        let file = file(path);
                        match kind {
                            Kind::Buildkitd => importer.buildkitd(&file),
                            Kind::Registries => importer.registries(&file),
                            Kind::DockerConfig => importer.docker_config(&file),
                            Kind::DockerAuthConfig => importer.docker_auth_config(&file),
                            Kind::AuthJson => importer.auth_json(&file),
                            Kind::Kubernetes => importer.kubernetes(&file),
                            _ => importer.regauth(&file),
                        }
                    }
                }
            }
        }
    }

    /// Where a name in a file is on this machine.
    fn real(&self, name: &Path) -> PathBuf {
        // A name that was relative stands beside the file that names it.
        let mut folders = self.named.iter().flat_map(|(_, paths)| paths).filter_map(|path| path.parent());
        let beside = folders.any(|folder| folder.parent().is_some() && name.starts_with(folder));
        match (&self.root, name.strip_prefix("/")) {
            (Some(root), Ok(inside)) if !beside && !name.starts_with(root) => root.join(inside),
            _ => name.to_path_buf(),
        }
    }
}

/// Where systems keep their certificate authorities as one file: Debian, Fedora, SUSE, Alpine and the BSDs.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/etc/ssl/cert.pem",
];

/// The system's certificate authorities as PEM, and the first file that they are in.
pub(crate) fn system_roots() -> (Vec<Arc<[u8]>>, Option<String>) {
    let variable = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
    roots_of(variable("SSL_CERT_FILE"), variable("SSL_CERT_DIR"))
}

/// The two variables stand in the place of the system's own bundle, as they do for OpenSSL and Go; what cannot be read is
/// no authority.
pub(crate) fn roots_of(file: Option<OsString>, directories: Option<OsString>) -> (Vec<Arc<[u8]>>, Option<String>) {
    let mut files: Vec<PathBuf> = file.iter().map(PathBuf::from).collect();
    for directory in directories.iter().flat_map(std::env::split_paths) {
        let mut names: Vec<_> = fs::read_dir(directory).into_iter().flatten().flatten().map(|e| e.path()).collect();
        names.sort();
        files.extend(names.into_iter().take(MAX_ENTRIES));
    }
    if file.is_none() && directories.is_none() {
        files.extend(BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file()));
    }
    let read = |path: &PathBuf| fs::read(path).ok().filter(|pem| holds_certificate(pem)).map(Arc::from);
    let pem: Vec<Arc<[u8]>> = files.iter().filter_map(read).collect();
    (pem, files.first().map(|path| path.display().to_string()))
}

/// Whether there is a PEM certificate in it.
pub(crate) fn holds_certificate(pem: &[u8]) -> bool {
    let mark = b"-----BEGIN CERTIFICATE-----";
    pem.windows(mark.len()).any(|window| window == mark)
}

/// A search path: what does not exist is passed over.
fn search(paths: &[PathBuf]) -> Vec<Directory> {
    let there = |path: &&PathBuf| paths.len() == 1 || path.exists();
    paths.iter().filter(there).map(|path| directory(path)).collect()
}

fn directory(path: &Path) -> Directory {
    let name = path.display().to_string();
    match read(path, MAX_DEPTH) {
        Some(Entry::Directory(directory)) => directory,
        Some(Entry::Unreadable(why)) => Directory::unreadable(name, why),
        Some(_) => Directory::unreadable(name, "it is no directory"),
        None => Directory::unreadable(name, "it does not exist"),
    }
}

fn file(path: &Path) -> File {
    let name = path.display().to_string();
    match read(path, 1) {
        Some(entry) => File { name, entry },
        None => File::unreadable(name, "it does not exist"),
    }
}

/// What stands under a name; `None` where nothing does.
fn read(path: &Path, depth: usize) -> Option<Entry> {
    let why = |error: std::io::Error| Entry::Unreadable(error.to_string());
    let kind = match fs::metadata(path) {
        Ok(kind) => kind,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => {
            return None;
        }
        Err(error) => return Some(why(error)),
    };
    if kind.is_file() {
        let mut bytes = Vec::new();
        // One byte over the limit is enough to be refused.
        let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
        let read = fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
        return Some(read.map_or_else(why, |_| Entry::File(bytes.into())));
    }
    if !kind.is_dir() {
        return Some(Entry::Unreadable("it is no regular file".into()));
    }
    let mut directory = Directory::new(path.display().to_string());
    match fs::read_dir(path) {
        Err(error) => directory.unreadable = Some(error.to_string()),
        Ok(_) if depth == 0 => {}
        Ok(entries) => {
            for entry in entries.flatten() {
                if directory.entries.len() == MAX_ENTRIES {
                    directory.entries.clear();
                    directory.unreadable = Some(format!("it holds more than {MAX_ENTRIES} entries"));
                    break;
                }
                if let Some(inside) = read(&entry.path(), depth - 1) {
                    // A name that is no text is none that any format looks for, and is said to be that.
                    directory.entries.insert(entry.file_name().to_string_lossy().into_owned(), inside);
                }
            }
        }
    }
    Some(Entry::Directory(directory))
}
