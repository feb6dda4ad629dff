//! The configuration of an agent, put together call by call.

use std::sync::Arc;

use regauth::tls::Roots;
use regauth::{Config as Core, Credentials, Host as CoreHost, Identity, Mode, Origin, Pair, PairKind, Secret};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::Failed;
use crate::text::bytes;

/// A configuration.
#[wasm_bindgen]
#[derive(Default)]
pub struct Config {
    pub(crate) core: Core,
}

/// A host entry.
#[wasm_bindgen]
#[derive(Default)]
pub struct Host {
    pub(crate) core: CoreHost,
}

/// Credentials out of a user and a secret: `basic`, `refresh` or `bearer`.
pub(crate) fn credentials(kind: &str, user: &str, secret: String) -> Option<Credentials> {
    let secret = Secret::from(secret);
    Some(match kind {
        "basic" => Credentials::Basic { user: user.into(), password: secret },
        "refresh" => Credentials::Refresh(secret),
        "bearer" => Credentials::Bearer(secret),
        _ => return None,
    })
}

#[wasm_bindgen]
impl Config {
    /// An empty one.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// The host entry of an origin; without one: of every registry that has none.
    pub fn host(&mut self, origin: Option<String>, host: &Host) -> Result<(), Failed> {
        match origin {
            Some(origin) => self.core.host(Origin::parse(&origin)?, host.core.clone()),
            None => self.core.default_host(host.core.clone()),
        };
        Ok(())
    }

    /// The roots for origins whose entry has none.
    pub fn roots(&mut self, webpki: bool, pem: Vec<String>) {
        self.core.roots(roots(webpki, pem));
    }

    /// A pair: `storage` or token.
    pub fn pair(
        &mut self,
        registry: &str,
        storage: bool,
        other: &str,
        identity: bool,
        local: bool,
    ) -> Result<(), Failed> {
        let kind = if storage { PairKind::Storage } else { PairKind::Token };
        let pair = Pair::new(Origin::parse(registry)?, kind, Origin::parse(other)?);
        self.core.pair(pair.identity(identity).local(local));
        Ok(())
    }

    /// Credentials of a registry.
    pub fn credentials(&mut self, registry: &str, kind: &str, user: &str, secret: String) -> Result<(), Failed> {
        let found = credentials(kind, user, secret)
            .ok_or_else(|| Failed::input("unknown credentials", "Give basic, refresh or bearer."))?;
        self.core.credentials(Origin::parse(registry)?, found);
        Ok(())
    }

    /// The host looks them up; without a registry: those of all that have none here.
    pub fn ask(&mut self, registry: Option<String>) -> Result<(), Failed> {
        match registry {
            Some(registry) => self.core.ask(Origin::parse(&registry)?),
            None => self.core.ask_for_all(true),
        };
        Ok(())
    }

    /// `any-https`, `password-post` or `offline-token`.
    pub fn option(&mut self, name: &str) {
        match name {
            "any-https" => drop(self.core.mode(Mode::AnyHttps)),
            "password-post" => drop(self.core.password_post(true)),
            "offline-token" => drop(self.core.offline_token(true)),
            _ => {}
        }
    }
}

pub(crate) fn roots(webpki: bool, pem: Vec<String>) -> Roots {
    let mut roots = Roots::default();
    roots.webpki = webpki;
    roots.pem = pem.into_iter().map(|text| Arc::from(text.into_bytes())).collect();
    roots
}

#[wasm_bindgen]
impl Host {
    /// One that says nothing.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// A header field.
    pub fn header(&mut self, name: &str, value: &str) -> Result<(), Failed> {
        let value = bytes(value).ok_or_else(Failed::header)?;
        self.core.headers.push((name.into(), Arc::new(Secret::from(value.as_slice()))));
        Ok(())
    }

    /// An identity that the host's own TLS shows: its name, and the SHA-256 of its leaf, or as good a number.
    pub fn named(&mut self, label: &str, fingerprint: &[u8]) -> Result<(), Failed> {
        let print = fingerprint
            .try_into()
            .map_err(|_| Failed::input("a fingerprint is 32 bytes", "Give the SHA-256 of the certificate."))?;
        self.core.identities.push(Identity::named(label, print));
        Ok(())
    }

    /// An identity out of PEM.
    #[cfg(feature = "tls")]
    pub fn pem(&mut self, label: &str, chain: &[u8], key: &[u8]) -> Result<(), Failed> {
        let identity = Identity::from_pem(label, chain, key).map_err(|error| {
            let mut failed = Failed::input(&error.what(), error.remedy());
            failed.kind = "identity";
            failed
        })?;
        self.core.identities.push(identity);
        Ok(())
    }

    /// Roots for this origin.
    pub fn roots(&mut self, webpki: bool, pem: Vec<String>) {
        self.core.roots = Some(roots(webpki, pem));
    }

    /// An ALPN protocol name.
    pub fn alpn(&mut self, name: &str) {
        self.core.alpn.push(name.into());
    }

    /// One of the settings that are yes or no, by its name in the configuration file.
    pub fn set(&mut self, name: &str) {
        let host = &mut self.core;
        let flag = match name {
            "force" => &mut host.force,
            "try_pairs" => &mut host.try_pairs,
            "try_pairs_on_status" => &mut host.try_pairs_on_status,
            "skip_verify" => &mut host.skip_verify,
            "password_over_http" => &mut host.password_over_http,
            "password_unverified" => &mut host.password_unverified,
            "local" => &mut host.local,
            "wildcard_identity" => &mut host.wildcard_identity,
            _ => return,
        };
        *flag = true;
    }
}
