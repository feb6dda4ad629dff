//! From options, files and environment to the library's configuration. An option wins over a file.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use regauth::config::{Diagnostic, Model};
use regauth::tls::IdentityFlaw;
use regauth::{Agent, Capability, Config, Credentials, Identity, Origin, Pair, PairKind, Reference, Route, Secret};

use crate::args::{Options, Other};
use crate::config_files::{holds_certificate, system_roots};
use crate::failure::{Exit, Failure};
use crate::host::now;

/// A longer password is a mistake: some other file came by standard input.
const MAX_PASSWORD: u64 = 64 * 1024;

/// The whole configuration, and what was found in the files.
pub(crate) fn config(options: &Options, image: &Reference) -> Result<(Config, Vec<Diagnostic>), Failure> {
    let mut model = options.sources.model(now());
    model.roots.pem = system_roots().0;
    for path in &options.ca {
        let pem = read(path)?;
        if !holds_certificate(&pem) {
            let what = format!("{} holds no PEM certificate", path.display());
            return Err(Failure::new(Exit::Input, what, "Give the certificate authority as PEM (--ca)."));
        }
        model.roots.pem.push(pem.into());
    }
    let plain = options.http.then(|| over_http(image)).transpose()?;
    let routed = plain.as_ref().is_some_and(|plain| speaks_http(&mut model, image, plain));
    let (mut config, found) = model.into_config();
    if let (Some(plain), false) = (plain, routed) {
        config.routes(Some(image.origin().clone()), vec![Route::registry(Some(plain))]);
    }
    let registry = &own(&config, image)?;
    if !options.certs.is_empty() {
        let mut host = config.host_of(registry).cloned().unwrap_or_default();
        let pairs = options.certs.iter().zip(&options.keys);
        host.identities = pairs.map(|(cert, key)| identity(cert, key)).collect::<Result<_, _>>()?;
        host.unusable = None;
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
    Ok((config, found))
}

/// `--http`: the registry under its name, and nothing else.
fn over_http(image: &Reference) -> Result<Origin, Failure> {
    Origin::parse(&format!("http://{}", image.domain()))
        .map_err(|flaw| Failure::new(Exit::Input, format!("the registry's name {flaw}"), "Name host and port."))
}

/// Where files say which endpoints the registry has: the registry itself is there by http. Whether there are any.
fn speaks_http(model: &mut Model, image: &Reference, plain: &Origin) -> bool {
    let of_image = |name: &Option<Origin>| name.as_ref().is_none_or(|name| name == image.origin());
    let mut routed = false;
    for registry in model.registries.iter_mut().filter(|registry| of_image(&registry.name)) {
        routed = true;
        for own in registry.endpoints.iter_mut().filter(|endpoint| !endpoint.mirror) {
            own.origin = Some(plain.clone());
        }
    }
    routed
}

/// The registry's own origin, which a file may have moved away from its name.
fn own(config: &Config, image: &Reference) -> Result<Origin, Failure> {
    let agent = Agent::new(config.clone()).map_err(|error| Failure::of(&error, None))?;
    let endpoints = agent.endpoints(image, Capability::Pull);
    let own = endpoints.into_iter().find(|endpoint| !endpoint.mirror);
    Ok(own.map_or_else(|| image.origin().clone(), |endpoint| endpoint.origin))
}

fn pair(config: &mut Config, registry: &Origin, kind: PairKind, other: &Other) -> Result<(), Failure> {
    let Some(origin) = &other.origin else { return Ok(()) };
    if let (Some(cert), Some(key)) = (&other.cert, &other.key) {
        let mut host = config.host_of(origin).cloned().unwrap_or_default();
        host.identities = vec![identity(cert, key)?];
        host.unusable = None;
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
}
