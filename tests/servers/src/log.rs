//! nginx's log, the judge of the tests: what each request really showed.

use std::net::IpAddr;

/// The format that [`Record::parse`] reads. Of `Authorization` only the scheme: a log is no place for secrets.
pub(crate) const FORMAT: &str = concat!(
    r#"$server_addr "$request" $status verify=$ssl_client_verify dn="$ssl_client_s_dn" "#,
    r#"authz=$authz conn=$connection reused=$ssl_session_reused"#
);

/// One request, as the server in front saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The address that was connected to.
    pub server: IpAddr,
    /// The method, empty if the request could not be read.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The answer's status. 400 also stands for a client certificate that was required and missing or refused.
    pub status: u16,
    /// `SUCCESS`, `NONE` or `FAILED:` and a reason.
    pub verify: String,
    /// The subject of the client certificate that was shown.
    pub dn: Option<String>,
    /// `Basic`, `Bearer` or `other`.
    pub authz: Option<String>,
    /// The connection's number: requests on one connection share it.
    pub connection: u64,
    /// Whether the connection's TLS session was resumed.
    pub reused: bool,
}

impl Record {
    /// One line of the log; `None` if it is not one.
    pub fn parse(line: &str) -> Option<Self> {
        let (server, rest) = line.split_once(" \"")?;
        // A quote in a request is logged as \x22, so that the next one ends it.
        let (request, rest) = rest.split_once("\" ")?;
        let (status, rest) = rest.split_once(" verify=")?;
        let (verify, rest) = rest.split_once(" dn=\"")?;
        let (dn, rest) = rest.split_once("\" authz=")?;
        let (authz, rest) = rest.split_once(" conn=")?;
        let (connection, reused) = rest.split_once(" reused=")?;
        let some = |text: &str| (text != "-" && !text.is_empty()).then(|| text.to_string());
        let mut words = request.split(' ').map(str::to_string);
        Some(Self {
            server: server.parse().ok()?,
            method: words.next().unwrap_or_default(),
            target: words.next().unwrap_or_default(),
            status: status.parse().ok()?,
            verify: verify.into(),
            dn: some(dn),
            authz: some(authz),
            connection: connection.parse().ok()?,
            reused: reused == "r",
        })
    }

    /// Whether it went to the token endpoint.
    pub fn is_token(&self) -> bool {
        self.target.starts_with("/service/token")
    }

    /// Whether it asked for a blob.
    pub fn is_blob(&self) -> bool {
        self.target.contains("/blobs/sha256:")
    }

    /// Whether it showed a client certificate, accepted or not.
    pub fn showed_identity(&self) -> bool {
        self.dn.is_some() || self.verify != "NONE"
    }

    /// `127.0.0.1 GET /v2/ 401 verify=SUCCESS dn=CN=buildbot-1 authz=- conn=1 reused=false`, the query left out: for
    /// messages and notes.
    pub fn brief(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        let dash = |text: &Option<String>| text.as_deref().unwrap_or("-").to_string();
        format!(
            "{} {} {path} {} verify={} dn={} authz={} conn={} reused={}",
            self.server,
            self.method,
            self.status,
            self.verify,
            dash(&self.dn),
            dash(&self.authz),
            self.connection,
            self.reused
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_nginx_writes_them() {
        let line = r#"127.0.0.1 "GET /v2/a/manifests/x HTTP/1.1" 200 verify=SUCCESS dn="CN=buildbot-1" authz=Bearer conn=3 reused=r"#;
        let record = Record::parse(line).unwrap();
        assert_eq!((record.method.as_str(), record.target.as_str(), record.status), ("GET", "/v2/a/manifests/x", 200));
        assert_eq!((record.dn.as_deref(), record.authz.as_deref()), (Some("CN=buildbot-1"), Some("Bearer")));
        assert!(record.reused && record.showed_identity() && !record.is_token());
        assert_eq!(record.connection, 3);

        let line = r#"127.0.0.3 "GET / HTTP/1.1" 400 verify=FAILED:unable to get local issuer certificate dn="CN=a, O=\x22b" authz=- conn=4 reused=."#;
        let record = Record::parse(line).unwrap();
        assert_eq!(record.verify, "FAILED:unable to get local issuer certificate");
        assert_eq!(record.dn.as_deref(), Some(r"CN=a, O=\x22b"));
        assert!(record.showed_identity() && !record.reused && record.authz.is_none());

        let line = r#"127.0.0.3 "" 400 verify=NONE dn="-" authz=- conn=4 reused=."#;
        let record = Record::parse(line).unwrap();
        assert!(!record.showed_identity() && record.method.is_empty());
        assert_eq!(Record::parse("nonsense"), None);
    }
}
