//! Without an image name: three origins of its own on loopback, and a pull through all of them.

mod image;
mod origins;
mod server;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use regauth::tls::Roots;
use regauth::{Config, Credentials, Host, Identity, Reference};

use crate::failure::{Exit, Failure};
use origins::{Origins, PASSWORD, REPOSITORY, Seen, USER};

pub(crate) use origins::Trouble;

/// The running demonstration.
pub(crate) struct Demo {
    pub(crate) name: Reference,
    pub(crate) config: Config,
    origins: Origins,
}

impl Demo {
    pub(crate) fn start() -> Result<Self, Failure> {
        Self::with("127.0.0.1", Trouble::default())
    }

    /// The same under another host name, for a client that reaches it through a proxy.
    pub(crate) fn with(host: &str, trouble: Trouble) -> Result<Self, Failure> {
        let failed = |why: String| {
            let todo = "Check that ports of 127.0.0.1 can be listened on.";
            Failure::new(Exit::Network, format!("the demonstration's servers do not start: {why}"), todo)
        };
        let origins = Origins::start(&[host, "127.0.0.1"], host, trouble).map_err(|e| failed(e.to_string()))?;
        let domain = format!("{host}:{}", origins.registry.address.port());
        let name = Reference::parse(&format!("{domain}/{REPOSITORY}")).map_err(|e| failed(e.to_string()))?;
        let registry = name.origin().clone();
        let client = &origins.client;
        let identity = Identity::from_pem("builder-1", client.cert_pem.as_bytes(), client.key_pem.expose())
            .map_err(|error| failed(error.to_string()))?;
        let mut config = Config::default();
        let mut roots = Roots::default();
        roots.webpki = false;
        roots.pem.push(Arc::from(origins.ca.as_bytes()));
        let mut entry = Host::default();
        entry.identities.push(identity);
        config.roots(roots).host(registry.clone(), entry);
        config.credentials(registry, Credentials::Basic { user: USER.into(), password: PASSWORD.into() });
        Ok(Self { name, config, origins })
    }

    /// What is what in the table.
    pub(crate) fn legend(&self) -> String {
        format!(
            "registry       https://{}  requires a client certificate\n\
             token service  https://{}  requires a client certificate\n\
             blob store     https://{}  asks for one, and needs none\n",
            self.origins.registry.address, self.origins.tokens.address, self.origins.blobs.address
        )
    }

    /// How often the blob store was asked for a part of a blob.
    #[cfg(test)]
    pub(crate) fn ranges(&self) -> usize {
        self.origins.seen.ranges.load(Ordering::SeqCst)
    }

    /// The last line: what the blob store itself wrote down.
    pub(crate) fn verdict(&self) -> Result<String, Failure> {
        verdict(&self.origins.seen, self.origins.blobs.connections.load(Ordering::SeqCst))
    }
}

fn verdict(seen: &Seen, connections: usize) -> Result<String, Failure> {
    let count = |counter: &std::sync::atomic::AtomicUsize| counter.load(Ordering::SeqCst);
    let (requests, certificates) = (count(&seen.requests), count(&seen.certificates));
    let authorizations = count(&seen.authorizations);
    if requests == 0 || certificates > 0 || authorizations > 0 {
        let what = format!(
            "the blob store saw {requests} requests, {certificates} with a certificate and {authorizations} with an \
             Authorization"
        );
        return Err(Failure::new(Exit::Leak, what, "This is a defect of regauth: please report it."));
    }
    Ok(format!(
        "The blob store saw {requests} requests on {connections} connections: no certificate and no Authorization."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_is_one() {
        let seen = |requests: usize, certificates: usize, authorizations: usize| Seen {
            requests: requests.into(),
            certificates: certificates.into(),
            authorizations: authorizations.into(),
            ..Seen::default()
        };
        assert!(verdict(&seen(4, 0, 0), 1).unwrap().ends_with("no certificate and no Authorization."));
        for leak in [seen(4, 1, 0), seen(4, 0, 1), seen(0, 0, 0)] {
            assert_eq!(verdict(&leak, 1).unwrap_err().exit, Exit::Leak);
        }
    }
}
