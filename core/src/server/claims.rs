//! What a registry token says, written and read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::json::Object;
use super::peer::Peer;
use crate::time::Time;

/// What a registry token says. Times are seconds since 1970 (RFC 7519 section 2, NumericDate).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Claims {
    /// Who issued it: the registry's configured issuer, exactly.
    pub iss: String,
    /// Whom it was issued to. From the identity that was authenticated, never from the request.
    pub sub: String,
    /// The registry's configured service. One string: distribution 2.8 refuses a list.
    pub aud: String,
    /// Not from this second on.
    pub exp: u64,
    /// Not before this second.
    pub nbf: u64,
    /// When it was issued.
    pub iat: u64,
    /// The token's own name: 22 characters.
    pub jti: String,
    /// What it allows; nothing if it is empty.
    pub access: Vec<Access>,
    /// The client certificate that it is bound to (RFC 8705 section 3.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

impl Claims {
    /// Claims that hold from 10 s before `now`, for clocks that are a little behind, to `ttl` seconds after it. `jti` is
    /// 16 random bytes.
    pub fn new(iss: &str, sub: &str, aud: &str, now: Time, ttl: u64, jti: &[u8; 16]) -> Self {
        let iat = now.0 / 1000;
        Self {
            iss: iss.into(),
            sub: sub.into(),
            aud: aud.into(),
            exp: iat.saturating_add(ttl),
            nbf: iat.saturating_sub(10),
            iat,
            jti: URL_SAFE_NO_PAD.encode(jti),
            access: Vec::new(),
            cnf: None,
        }
    }
}

/// One entry of `access`: a resource and what may be done with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Access {
    /// `repository` or `registry`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The repository's name, or `catalog`. Literal: registries know no wildcard here.
    pub name: String,
    /// `pull`, `push`, `delete` or `*`. Writing needs both `pull` and `push`.
    pub actions: Vec<String>,
}

/// `cnf`: the certificate that the client has to show with the token, as the SHA-256 of its DER (`x5t#S256`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Confirmation {
    #[serde(rename = "x5t#S256", serialize_with = "text")]
    sha256: [u8; 32],
}

fn text<S: serde::Serializer>(sha256: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&URL_SAFE_NO_PAD.encode(sha256))
}

impl Confirmation {
    /// Of this certificate.
    pub fn of(peer: &Peer) -> Self {
        Self { sha256: *peer.sha256() }
    }

    /// Whether it is this certificate's; takes the same time whatever differs.
    pub fn is(&self, peer: &Peer) -> bool {
        self.sha256.iter().zip(peer.sha256()).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
    }

    fn from_text(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(|sha256| Self { sha256 })
    }
}

pub(super) fn read_claims(json: &[u8]) -> Option<Claims> {
    const KNOWN: [&str; 9] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "access", "cnf"];
    let object = Object::read(json, &KNOWN)?;
    let text = |name| object.get::<String>(name).ok().flatten();
    let number = |name| object.get::<u64>(name).ok();
    let access = match object.raw("access") {
        Some(list) => read_access(list)?,
        None => Vec::new(),
    };
    let cnf = match object.raw("cnf") {
        Some(cnf) => {
            // Bound in a way that is not understood is not unbound.
            let x5t = Object::read(cnf.as_bytes(), &["x5t#S256"])?.get::<String>("x5t#S256").ok()??;
            Some(Confirmation::from_text(&x5t)?)
        }
        None => None,
    };
    let iat = number("iat")??;
    Some(Claims {
        iss: text("iss")?,
        sub: text("sub")?,
        aud: text("aud")?,
        exp: number("exp")??,
        nbf: number("nbf")?.unwrap_or(iat),
        iat,
        jti: text("jti")?,
        access,
        cnf,
    })
}

fn read_access(list: &str) -> Option<Vec<Access>> {
    let entries: Vec<&serde_json::value::RawValue> = serde_json::from_str(list).ok()?;
    let read = |entry: &&serde_json::value::RawValue| {
        let object = Object::read(entry.get().as_bytes(), &["type", "name", "actions"])?;
        Some(Access {
            kind: object.get("type").ok()??,
            name: object.get("name").ok()??,
            actions: object.get("actions").ok()??,
        })
    };
    entries.iter().map(read).collect()
}
