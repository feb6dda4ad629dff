//! All certificates of one buildkitd that listens on TCP, and the commands that use them.

use super::{Ca, Issued, MintError};
use crate::key::derive;
use crate::secret::Secret;
use crate::time::Time;

/// The files of one buildkitd and its clients, to be written with mode 0600 into a directory with mode 0700.
#[derive(Debug)]
#[non_exhaustive]
pub struct Bundle {
    /// Name and bytes of each: PEM.
    pub files: Vec<(&'static str, Secret)>,
    /// When the CA and with it all of them end.
    pub not_after: Time,
    host: String,
}

/// A CA, a server's certificate for `names`, a client's, and a health check's, which all live `ttl` seconds from `now`.
///
/// `names` are host names and IP addresses that clients connect to; the commands take the first that is no wildcard, and
/// one has to be none.
/// `uri` goes into the client's certificate: a SPIFFE id makes it a builder's identity at a token service too. The CA's
/// key is dropped. `entropy` is 32 random bytes for this call alone. Files: `ca.pem`, and `server`, `client` and
/// `health-check`, each with `.pem` and `.key`.
pub fn buildkitd(
    names: &[&str],
    uri: Option<&str>,
    now: Time,
    ttl: u64,
    entropy: &[u8; 32],
) -> Result<Bundle, MintError> {
    let host = names.iter().find(|name| !name.starts_with('*'));
    let host = host.ok_or_else(|| MintError::San(names.first().copied().unwrap_or_default().into()))?;
    let part = |label: &str| derive(label.as_bytes(), entropy);
    let ca = Ca::new(now, ttl, "buildkitd CA", &part("buildkitd-ca"))?;
    let server = ca.server(names, now, ttl, &part("buildkitd-server"))?;
    let client = ca.client("buildkitd client", uri, now, ttl, &part("buildkitd-client"))?;
    let health = ca.health_check(now, ttl, &part("buildkitd-health"))?;
    let cert = |issued: &Issued| Secret::from(issued.cert_pem.as_str());
    Ok(Bundle {
        files: vec![
            ("ca.pem", Secret::from(ca.cert_pem())),
            ("server.pem", cert(&server)),
            ("server.key", server.key_pem),
            ("client.pem", cert(&client)),
            ("client.key", client.key_pem),
            ("health-check.pem", cert(&health)),
            ("health-check.key", health.key_pem),
        ],
        not_after: ca.not_after(),
        host: (*host).into(),
    })
}

impl Bundle {
    /// The commands that use the files, each after what it is for. `directory` is where they are, as an absolute path
    /// (buildx reads them at every connection, from wherever it then runs); `port` is the one that buildkitd listens on.
    pub fn commands(&self, directory: &str, port: u16) -> Vec<(&'static str, String)> {
        let file = |name: &str| quoted(&format!("{}/{name}", directory.trim_end_matches('/')));
        let host = &self.host;
        let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let flags = |name: &str| {
            let [ca, cert, key] =
                ["ca.pem".into(), format!("{name}.pem"), format!("{name}.key")].map(|name| file(&name));
            format!("--tlscacert {ca} --tlscert {cert} --tlskey {key}")
        };
        let client = |name: &str| {
            format!("buildctl --addr tcp://{address} --tlsservername {host} {} debug workers", flags(name))
        };
        let option = |name: &str, value: String| format!(" --driver-opt {name}={value}");
        let options = [
            option("cacert", file("ca.pem")),
            option("cert", file("client.pem")),
            option("key", file("client.key")),
            option("servername", host.clone()),
        ];
        vec![
            ("server", format!("buildkitd --addr tcp://0.0.0.0:{port} {}", flags("server"))),
            ("buildctl", client("client")),
            ("health check", client("health-check")),
            (
                "buildx",
                format!("docker buildx create --name remote --driver remote{} tcp://{address}", options.concat()),
            ),
        ]
    }
}

/// As a word for a POSIX shell.
fn quoted(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_' | b'+' | b':' | b'@' | b'%');
    if !path.is_empty() && path.bytes().all(plain) { path.into() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_name_every_file_and_the_first_host() {
        let bundle =
            buildkitd(&["*.builds.example", "2001:db8::1"], None, Time(1_800_000_000_000), 3600, &[7; 32]).unwrap();
        let commands = bundle.commands("/tmp/it's", 1234);
        let all = commands.iter().map(|(_, command)| command.as_str()).collect::<Vec<_>>().join("\n");
        for (name, bytes) in &bundle.files {
            assert!(all.contains(&format!(r"'/tmp/it'\''s/{name}'")), "{name}: {all}");
            let label = if name.ends_with(".key") { "PRIVATE KEY" } else { "CERTIFICATE" };
            assert!(bytes.expose_str().unwrap().starts_with(&format!("-----BEGIN {label}-----\n")), "{name}");
        }
        assert!(all.contains("buildctl --addr tcp://[2001:db8::1]:1234 --tlsservername 2001:db8::1 "), "{all}");
        assert_eq!(bundle.not_after, Time(1_800_003_600_000));
        assert!(!format!("{bundle:?}").contains("BEGIN"));
    }

    #[test]
    fn the_same_arguments_give_the_same_bytes() {
        let make = |last| {
            buildkitd(&["localhost"], Some("spiffe://example.org/builder/1"), Time(1_800_000_000_000), 60, &[last; 32])
        };
        assert_eq!(make(1).unwrap().files, make(1).unwrap().files);
        assert_ne!(make(1).unwrap().files, make(2).unwrap().files);
        assert!(matches!(buildkitd(&[], None, Time(0), 60, &[1; 32]), Err(MintError::San(_))));
    }
}
