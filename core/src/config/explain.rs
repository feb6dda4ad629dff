//! For one image: these hops; this host gets that certificate from that file, this one none, because.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::diagnostic::{Diagnostic, Place};
use super::model::{HostEntry, Model};
use crate::client::hop::{Chain, Decision, Grants, Hop, Question, decide};
use crate::client::{Agent, Config, Endpoint, Origins};
use crate::error::Error;
use crate::origin::{Origin, Url};
use crate::reference::Reference;

/// Everything there is to say of an image.
#[derive(Clone, Debug)]
pub struct Explanation {
    model: Model,
    /// The numbers of the model's host entries.
    by_origin: HashMap<Option<Origin>, Vec<usize>>,
    /// Where credentials stand, as they are shown.
    places: HashMap<String, Place>,
    config: Config,
    found: Vec<Diagnostic>,
    image: Reference,
    endpoints: Vec<Endpoint>,
    token_hosts: Vec<Origin>,
    system: Option<String>,
}

/// A token host as the policy sees it from one endpoint.
struct Token {
    registry: Origin,
    host: Origin,
    grants: Option<Grants>,
    reason: String,
    missing: Vec<String>,
}

impl Explanation {
    /// For this image and, beside the registry's own, these token hosts. `system` names the file of the system's certificate
    /// authorities, where they are among the model's roots.
    ///
    /// # Errors
    /// As for [`Agent::new`].
    pub fn new(model: Model, image: &Reference, token_hosts: &[Origin], system: Option<String>) -> Result<Self, Error> {
        let (config, found) = model.clone().into_config();
        let agent = Agent::new(config.clone())?;
        let endpoints = agent.all_endpoints(image);
        let token_hosts = token_hosts.to_vec();
        let mut by_origin: HashMap<Option<Origin>, Vec<usize>> = HashMap::new();
        for (at, host) in model.hosts.iter().enumerate() {
            by_origin.entry(host.origin.clone()).or_default().push(at);
        }
        let places = model.credentials.iter().map(|entry| (entry.place.to_string(), entry.place.clone())).collect();
        let image = image.clone();
        Ok(Self { model, by_origin, places, config, found, image, endpoints, token_hosts, system })
    }

    /// What the sources say of an origin, the entry that holds first.
    fn entries<'a>(&'a self, origin: &'a Origin) -> impl Iterator<Item = &'a HostEntry> {
        let own = Some(origin.clone());
        let found = self.by_origin.get(&own).or_else(|| self.by_origin.get(&None));
        found.into_iter().flatten().filter_map(|at| self.model.hosts.get(*at))
    }

    /// Certificate, key and where they are named, of what would be shown to the registry itself.
    fn pairs<'a>(&'a self, origin: &'a Origin) -> Vec<(&'a str, &'a str, &'a Place)> {
        let shown = self.shown(origin);
        let files = self.entries(origin).flat_map(|host| &host.identities);
        let mut pairs: Vec<_> = files.map(|one| (one.certificate.as_str(), one.key.as_str(), &one.place)).collect();
        pairs.retain(|(certificate, ..)| shown.iter().any(|label| label == certificate));
        pairs.truncate(shown.len());
        pairs
    }

    fn shown(&self, origin: &Origin) -> Vec<String> {
        let Some(host) = self.config.host_of(origin) else { return Vec::new() };
        let wildcard = !self.by_origin.contains_key(&Some(origin.clone()));
        if !origin.is_https() || (wildcard && !host.wildcard_identity) {
            return Vec::new();
        }
        host.identities.iter().map(|identity| identity.label().to_string()).collect()
    }

    fn why_none(&self, origin: &Origin) -> String {
        let Some(host) = self.config.host_of(origin) else { return format!("no source has an entry for {origin}") };
        let from = host.provenance.as_deref().unwrap_or_default();
        if let Some(why) = &host.unusable {
            return format!("requests fail: {why}");
        }
        if !origin.is_https() {
            return "plain http carries no certificate".into();
        }
        if !host.identities.is_empty() {
            return format!("the certificate of {from} is for every registry, and there is no leave for it");
        }
        format!("{from} names no certificate")
    }

    fn tokens(&self) -> Vec<Token> {
        let mut tokens = Vec::new();
        for endpoint in &self.endpoints {
            for host in &self.token_hosts {
                tokens.push(self.token(&endpoint.origin, host));
            }
        }
        tokens
    }

    fn token(&self, registry: &Origin, host: &Origin) -> Token {
        let credentials = self.config.credentials_of(registry, self.image.repository()).is_some();
        let (grants, reason, missing) = match self.decide(registry, Hop::Token, host) {
            Some(Decision::Allow(grants)) => {
                let mut reason = grants.reason.to_string();
                if !self.shown(registry).is_empty() && grants.identity.is_none() && host.is_https() {
                    reason.push_str("; the registry's certificate is not lent to it (identity = true)");
                }
                (Some(grants), reason, Vec::new())
            }
            Some(Decision::Ask { reason, line }) => {
                let else_out = if credentials { "" } else { " (without credentials it goes out)" };
                (None, format!("{reason}{else_out}"), vec![line])
            }
            Some(Decision::Deny(reason)) => (None, format!("refused: {reason}"), Vec::new()),
            None => (None, String::new(), Vec::new()),
        };
        Token { registry: registry.clone(), host: host.clone(), grants, reason, missing }
    }

    /// What the policy says of a request with credentials.
    fn decide(&self, anchor: &Origin, hop: Hop, to: &Origin) -> Option<Decision> {
        let (target, chain) = (Url::parse(&to.to_string()).ok()?, Chain::at(anchor.clone()));
        let credentials = true;
        let question =
            Question { anchor, hop, target: &target, chain: &chain, credentials, anchor_class: None, address: None };
        Some(decide(&self.config, &question))
    }

    fn credentials(&self, endpoint: &Endpoint) -> Option<Origins> {
        self.config.credentials_of(&endpoint.origin, &endpoint.name())
    }

    /// Whether a password may go to this origin at all.
    fn may_send(&self, origin: &Origin) -> bool {
        matches!(self.decide(origin, Hop::Registry, origin), Some(Decision::Allow(Grants { credential: true, .. })))
    }

    /// Where credentials stand, as the model has it.
    fn place(&self, shown: &str) -> Option<&Place> {
        self.places.get(shown)
    }

    fn credentials_json(&self, endpoint: &Endpoint) -> Value {
        let Some(found) = self.credentials(endpoint) else { return Value::Null };
        let place = found.provenance.as_deref().and_then(|shown| self.place(shown));
        json!({
            "what": found.what,
            "user": found.user,
            "file": place.map(|place| &place.file),
            "key": place.map(|place| &place.key),
            "line": place.and_then(|place| place.line),
            "sent": self.may_send(&endpoint.origin),
            "helper": found.helper.map(|helper| json!({ "name": helper.name, "url": helper.url })),
        })
    }

    fn roots_json(&self, origin: &Origin) -> Value {
        let files: Vec<&str> = self.entries(origin).flat_map(|host| &host.ca).map(|ca| ca.file.as_str()).collect();
        let only = self.entries(origin).find_map(|host| host.ca_replaces) == Some(true) && !files.is_empty();
        json!({
            "webpki": !only && self.model.roots.webpki,
            "system": if only { None } else { self.system.as_deref() },
            "files": files,
            "adds": !only,
        })
    }

    fn endpoint_json(&self, endpoint: &Endpoint) -> Value {
        let origin = &endpoint.origin;
        let host = self.config.host_of(origin);
        let pairs: Vec<Value> = self
            .pairs(origin)
            .into_iter()
            .map(|(certificate, key, place)| {
                json!({ "certificate": certificate, "key": key, "file": place.file, "named_by": place.key, "line": place.line })
            })
            .collect();
        let place = self.entries(origin).next().map(|entry| &entry.place);
        json!({
            "origin": origin.to_string(),
            "api_root": endpoint.root,
            "role": if endpoint.mirror { "mirror" } else { "registry" },
            "ns": endpoint.ns,
            "repository": endpoint.repository,
            "pairs": pairs,
            "no_pair_because": if self.pairs(origin).is_empty() { Some(self.why_none(origin)) } else { None },
            "roots": self.roots_json(origin),
            "flags": {
                "plain_http": !origin.is_https(),
                "skip_verify": host.is_some_and(|host| host.skip_verify),
                "force": host.is_some_and(|host| host.force),
                "try_pairs": host.is_some_and(|host| host.try_pairs),
                "try_pairs_on_status": host.is_some_and(|host| host.try_pairs_on_status),
                "local": host.is_some_and(|host| host.local),
                "password_over_http": host.is_some_and(|host| host.password_over_http),
                "password_unverified": host.is_some_and(|host| host.password_unverified),
            },
            "dial_timeout_ms": host.and_then(|host| host.dial_timeout),
            "headers": host.map(|host| host.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>()).unwrap_or_default(),
            "capabilities": endpoint.capabilities.iter().map(|one| one.as_str()).collect::<Vec<_>>(),
            "unusable": host.and_then(|host| host.unusable.clone()),
            "credentials": self.credentials_json(endpoint),
            "host_entry": place.map(place_json),
            "named_by": endpoint.provenance,
        })
    }

    /// One JSON object and a line end.
    pub fn json(&self) -> String {
        let own = self.endpoints.iter().find(|endpoint| !endpoint.mirror);
        let tokens: Vec<Value> = self
            .tokens()
            .iter()
            .map(|token| {
                json!({
                    "registry": token.registry.to_string(),
                    "token_host": token.host.to_string(),
                    "identity_of": token.grants.as_ref().and_then(|grants| grants.identity.as_ref()).map(ToString::to_string),
                    "credentials": token.grants.as_ref().is_some_and(|grants| grants.credential),
                    "because": token.reason,
                    "missing": token.missing,
                })
            })
            .collect();
        let whole = json!({
            "image": self.image.to_string(),
            "registry": self.image.domain(),
            "repository": self.image.repository(),
            "endpoints": self.endpoints.iter().map(|endpoint| self.endpoint_json(endpoint)).collect::<Vec<_>>(),
            "credentials": own.map_or(Value::Null, |endpoint| self.credentials_json(endpoint)),
            "token_hosts": tokens,
            "diagnostics": self.found.iter().map(Diagnostic::json).collect::<Vec<_>>(),
        });
        format!("{whole}\n")
    }

    /// A table and what is missing.
    pub fn text(&self) -> String {
        let mut rows = vec![["HOP", "ORIGIN", "CERTIFICATE", "CREDENTIALS", "FROM, OR WHY NOT"].map(str::to_string)];
        for endpoint in &self.endpoints {
            rows.extend(self.rows(endpoint));
        }
        let mut out = format!("{}\n\n", self.image);
        let width =
            |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..5).map(|column| width(column).unwrap_or_default()).collect();
        for row in &rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            let _ = writeln!(out, "{}", cells.join("  ").trim_end());
        }
        let missing: Vec<String> = self.tokens().into_iter().flat_map(|token| token.missing).collect();
        if !missing.is_empty() {
            let _ = writeln!(
                out,
                "\nmissing in regauth.toml, if these token hosts are meant (identity = true lends the certificate too):"
            );
            for line in &missing {
                let _ = writeln!(out, "  {line}");
            }
        }
        if !self.found.is_empty() {
            let _ = writeln!(out, "\n{} findings: see lint", self.found.len());
        }
        out
    }

    fn rows(&self, endpoint: &Endpoint) -> Vec<[String; 5]> {
        let origin = &endpoint.origin;
        let certificates = |origin: &Origin| {
            let names: Vec<&str> = self.pairs(origin).into_iter().map(|(certificate, ..)| certificate).collect();
            if names.is_empty() { "none".to_string() } else { names.join(", ") }
        };
        let why = |origin: &Origin| match self.pairs(origin).first() {
            Some((_, key, place)) => format!("key {key}, named by {place}"),
            None => self.why_none(origin),
        };
        let credentials = self.credentials(endpoint);
        let held = credentials.as_ref().map_or("none".to_string(), |found| match (&found.user, &found.helper) {
            (Some(user), _) if found.what == "a password" => format!("{} of {user}", found.what),
            (Some(user), _) => format!("{}: {user}", found.what),
            (None, Some(helper)) => format!("docker-credential-{} for {}", helper.name, helper.url),
            (None, None) => found.what.to_string(),
        });
        let held = if held == "none" || self.may_send(origin) { held } else { format!("{held}: not sent, policy") };
        let from = credentials
            .and_then(|found| found.provenance)
            .map(|from| format!("; credentials from {from}"))
            .unwrap_or_default();
        let kind = if endpoint.mirror { "mirror" } else { "registry" };
        let renamed = endpoint.repository != self.image.repository();
        let name = if renamed { format!(" as {}", endpoint.repository) } else { String::new() };
        let mut rows = vec![[
            kind.to_string(),
            format!("{origin}{}{name}", endpoint.root),
            certificates(origin),
            held.clone(),
            format!("{}{from}", why(origin)),
        ]];
        rows.push([
            "  token".into(),
            "same host".into(),
            certificates(origin),
            held.clone(),
            "as the registry API".into(),
        ]);
        for token in self.token_hosts.iter().map(|host| self.token(origin, host)) {
            let identity = token.grants.as_ref().and_then(|grants| grants.identity.as_ref());
            let sends = token.grants.as_ref().is_some_and(|grants| grants.credential);
            rows.push([
                "  token".into(),
                token.host.to_string(),
                identity.map_or("none".into(), certificates),
                if sends { held.clone() } else { "none".into() },
                token.reason,
            ]);
        }
        rows.push([
            "  redirect".into(),
            "any other origin".into(),
            "none".into(),
            "none".into(),
            "unless it is paired as storage".into(),
        ]);
        rows
    }
}

fn place_json(place: &Place) -> Value {
    json!({ "file": place.file, "key": place.key, "line": place.line })
}
