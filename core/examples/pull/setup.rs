//! From options, files and environment to the library's configuration.
//!
//! This is the place for configuration files (Docker's `certs.d`, `hosts.toml` and so on): an importer gives hosts, pairs
//! and credentials, which are added to the same [`Config`] before the options, so that an option wins.

use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regauth::tls::{IdentityFlaw, Roots};
use regauth::{Config, Credentials, Host, Identity, Origin, Pair, PairKind, Reference, Secret};

use crate::args::{Options, Other};
use crate::failure::{Exit, Failure};

/// Where systems keep their certificate authorities as one file: Debian, Fedora, SUSE, Alpine and the BSDs.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/etc/ssl/cert.pem",
];

/// A longer password is a mistake: some other file came by standard input.
const MAX_PASSWORD: u64 = 64 * 1024;

/// The origin of the registry's API.
pub(crate) fn origin(options: &Options, image: &Reference) -> Result<Origin, Failure> {
    if !options.http {
        return Ok(image.origin().clone());
    }
    Origin::parse(&format!("http://{}", image.domain()))
        .map_err(|flaw| Failure::new(Exit::Input, format!("the registry's name {flaw}"), "Name host and port."))
}

/// The whole configuration.
pub(crate) fn config(options: &Options, registry: &Origin) -> Result<Config, Failure> {
    let mut config = Config::default();
    let mut roots = Roots::default();
    for path in &options.ca {
        let pem = read(path)?;
        if !holds_certificate(&pem) {
            let what = format!("{} holds no PEM certificate", path.display());
            return Err(Failure::new(Exit::Input, what, "Give the certificate authority as PEM (--ca)."));
        }
        roots.pem.push(pem.into());
    }
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    roots.pem.extend(system_roots(variable("SSL_CERT_FILE"), variable("SSL_CERT_DIR")));
    config.roots(roots);
    if !options.certs.is_empty() {
        let mut host = Host::default();
        let pairs = options.certs.iter().zip(&options.keys);
        host.identities = pairs.map(|(cert, key)| identity(cert, key)).collect::<Result<_, _>>()?;
        (host.try_pairs, host.try_pairs_on_status) = (options.try_pairs, options.try_pairs_on_status);
        config.host(registry.clone(), host);
    }
    for (kind, other) in [(PairKind::Token, &options.token), (PairKind::Storage, &options.storage)] {
        pair(&mut config, registry, kind, other)?;
    }
    if let Some(user) = &options.user {
        let password = password(std::io::stdin().lock())?;
        config.credentials(registry.clone(), Credentials::Basic { user: user.clone(), password });
    }
    Ok(config)
}

fn pair(config: &mut Config, registry: &Origin, kind: PairKind, other: &Other) -> Result<(), Failure> {
    let Some(origin) = &other.origin else { return Ok(()) };
    if let (Some(cert), Some(key)) = (&other.cert, &other.key) {
        let mut host = Host::default();
        host.identities.push(identity(cert, key)?);
        config.host(origin.clone(), host);
    }
    config.pair(Pair::new(registry.clone(), kind, origin.clone()).identity(other.identity).local(other.local));
    Ok(())
}

/// The certificate's path is its name in every message.
fn identity(cert: &Path, key: &Path) -> Result<Identity, Failure> {
    let (chain, secret) = (read(cert)?, Secret::from(read(key)?));
    Identity::from_pem(cert.display().to_string(), &chain, secret.expose()).map_err(|mut error| {
        use IdentityFlaw::{EncryptedKey, Key, KeyMismatch, NoKey, UnsupportedKey};
        if matches!(error.flaw, NoKey | EncryptedKey | Key | UnsupportedKey(_) | KeyMismatch { .. }) {
            error.label = key.display().to_string();
        }
        let todo = error.remedy().replace("-in KEY", &format!("-in {}", key.display()));
        Failure::new(Exit::Input, error.what(), todo)
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::unreadable(path, &error))
}

fn holds_certificate(pem: &[u8]) -> bool {
    let mark = b"-----BEGIN CERTIFICATE-----";
    pem.windows(mark.len()).any(|window| window == mark)
}

/// The system's certificate authorities. The two variables stand in the place of its own bundle, as they do for OpenSSL
/// and Go; what cannot be read is no authority.
fn system_roots(file: Option<OsString>, directories: Option<OsString>) -> Vec<Arc<[u8]>> {
    let mut files: Vec<PathBuf> = file.iter().map(PathBuf::from).collect();
    for directory in directories.iter().flat_map(std::env::split_paths) {
        let mut names: Vec<_> = fs::read_dir(directory).into_iter().flatten().flatten().map(|e| e.path()).collect();
        names.sort();
        files.extend(names);
    }
    if file.is_none() && directories.is_none() {
        files.extend(BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file()));
    }
    files.iter().filter_map(|path| fs::read(path).ok()).filter(|pem| holds_certificate(pem)).map(Arc::from).collect()
}

/// The password: all of standard input without one line end.
fn password(input: impl std::io::Read) -> Result<Secret, Failure> {
    let wrong = |what: &str| Failure::new(Exit::Input, what, "Give the password alone: pull --password-stdin < FILE.");
    // Room from the start, so that no half of it is left behind in memory.
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(MAX_PASSWORD as usize + 2));
    match input.take(MAX_PASSWORD + 1).read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::InvalidData => return Err(wrong("the password is no text")),
        Err(_) => return Err(wrong("the password cannot be read from standard input")),
    }
    if bytes.len() as u64 > MAX_PASSWORD {
        return Err(wrong("the password is longer than 64 KiB"));
    }
    for end in [b'\n', b'\r'] {
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
    }
    if bytes.is_empty() {
        return Err(wrong("the password on standard input is empty"));
    }
    Ok(Secret::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_all_but_one_line_end() {
        let read = |text: &str| password(text.as_bytes()).map(|secret| secret.expose().to_vec());
        assert_eq!(read("s3cret\n").unwrap(), b"s3cret");
        assert_eq!(read("two words \r\n").unwrap(), b"two words ");
        assert_eq!(read("\n\n").unwrap(), b"\n");
        assert!(read("\n").is_err() && read("").is_err());
        assert!(read(&"x".repeat(70_000)).is_err());
    }

    #[test]
    fn the_variables_stand_in_the_place_of_the_system() {
        let directory = crate::testing::directory("roots");
        let pem = "-----BEGIN CERTIFICATE-----\n";
        fs::write(directory.join("a.pem"), pem).unwrap();
        fs::write(directory.join("notes.txt"), "no certificate").unwrap();
        assert_eq!(system_roots(None, Some(directory.path().into())).len(), 1);
        assert_eq!(system_roots(Some(directory.join("a.pem").into()), Some(directory.path().into())).len(), 2);
        assert!(system_roots(Some(directory.join("missing").into()), None).is_empty());
    }
}
