//! Tokens, verified: ES256 and nothing else, with keys that are configured and never taken from the token.
//!
//! Made for a registry's [`Guard`](super::Guard); alone, it serves an API beside the registry, with a key and an
//! audience of its own, so that neither takes the other's tokens.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::Signature;

use super::call::{Reason, SetupError, quotable};
use super::claims::{Claims, read_claims};
use super::json::Object;
use super::keys::VerifyingKey;
use super::peer::{Peer, Source, spki_of};
use super::{LEEWAY, MAX_TOKEN};
use crate::time::Time;

/// The longest life of a token that is believed, in seconds: an hour, and a minute for rounding and clocks.
const MAX_LIFE: u64 = 3660;

/// Verifies tokens of one issuer for one audience.
#[derive(Clone, Debug)]
pub struct Verifier {
    issuer: String,
    audience: String,
    keys: Vec<VerifyingKey>,
    max_life: u64,
    bound: bool,
    proxied: bool,
}

/// A token's part, as it stands.
struct Parts<'a> {
    signed: &'a str,
    header: Vec<u8>,
    claims: Vec<u8>,
    signature: Signature,
}

impl Verifier {
    /// A verifier of tokens that `issuer` has issued for `audience` and signed with one of `keys`.
    ///
    /// Two keys that answer to one name are an error: a token would choose between them.
    pub fn new(issuer: &str, audience: &str, keys: Vec<VerifyingKey>) -> Result<Self, SetupError> {
        if keys.is_empty() {
            return Err(SetupError::Missing("key"));
        }
        let mut kids: Vec<&String> = keys.iter().flat_map(VerifyingKey::kids).collect();
        kids.sort();
        if let Some((twice, _)) = kids.iter().zip(kids.iter().skip(1)).find(|(a, b)| a == b) {
            return Err(SetupError::Repeated((*twice).clone()));
        }
        Ok(Self {
            issuer: quotable("issuer", issuer)?,
            audience: quotable("service", audience)?,
            keys,
            max_life: MAX_LIFE,
            bound: false,
            proxied: false,
        })
    }

    /// Refuses tokens that live longer than this, in seconds; 3660 unless it is called.
    pub fn max_life(self, seconds: u64) -> Self {
        Self { max_life: seconds, ..self }
    }

    /// Whether every token has to be bound to a client certificate (RFC 8705 section 3). One that is bound is always
    /// compared with the certificate.
    pub fn require_bound(self, bound: bool) -> Self {
        Self { bound, ..self }
    }

    /// Whether a certificate counts that a proxy has verified ([`Source::Proxy`]). Not unless every way to the host
    /// goes through that proxy, and the proxy removes what clients send in its place.
    pub fn trust_proxy(self, proxied: bool) -> Self {
        Self { proxied, ..self }
    }

    /// The claims of a good token: JWS compact serialization (RFC 7515 section 7.1), checked in this order: size and
    /// syntax, algorithm, `crit` and `typ`, key, signature, claims, issuer, audience, times, certificate.
    ///
    /// Key material in the token (`jwk`, `jku`, `x5u`) is not looked at. Nothing of the claims is read before the
    /// signature is known to be good.
    pub fn verify(&self, token: &str, peer: Option<&Peer>, now: Time) -> Result<Claims, Reason> {
        self.claims(token, peer, now).map_err(|(reason, _)| reason)
    }

    /// The same; a refused token's `jti` where its signature is good.
    pub(super) fn claims(
        &self,
        token: &str,
        peer: Option<&Peer>,
        now: Time,
    ) -> Result<Claims, (Reason, Option<String>)> {
        let parts = parts(token).ok_or((Reason::TokenSyntax, None))?;
        let key = self.key(&parts.header).map_err(|reason| (reason, None))?;
        if !key.holds(parts.signed.as_bytes(), &parts.signature) {
            return Err((Reason::TokenSignature, None));
        }
        let claims = read_claims(&parts.claims).ok_or((Reason::TokenClaims, None))?;
        match self.judge(&claims, peer, now.0 / 1000) {
            Ok(()) => Ok(claims),
            Err(reason) => Err((reason, Some(claims.jti))),
        }
    }

    fn key(&self, header: &[u8]) -> Result<&VerifyingKey, Reason> {
        const KNOWN: [&str; 5] = ["alg", "typ", "crit", "kid", "x5c"];
        let header = Object::read(header, &KNOWN).ok_or(Reason::TokenSyntax)?;
        let text = |name| header.get::<String>(name).map_err(|()| Reason::TokenSyntax);
        if text("alg")?.as_deref() != Some("ES256") {
            return Err(Reason::TokenAlgorithm);
        }
        // Any other type is a JWT for something else: RFC 8725 section 3.11.
        let typed =
            text("typ")?.is_none_or(|typ| typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("at+jwt"));
        if header.raw("crit").is_some() || !typed {
            return Err(Reason::TokenCritical);
        }
        let by_kid = text("kid")?.map(|kid| self.keys.iter().find(|key| key.kids().any(|have| *have == kid)));
        // Owned, as a slash may be escaped in it.
        let chain: Option<Vec<String>> = header.get("x5c").map_err(|()| Reason::TokenSyntax)?;
        // The certificate only says which of our keys is meant: nothing is verified up to a root.
        let by_chain = chain.map(|chain| {
            let leaf = chain.first().and_then(|leaf| STANDARD.decode(leaf).ok())?;
            let spki = spki_of(&leaf)?;
            self.keys.iter().find(|key| key.spki == spki)
        });
        match (by_kid, by_chain) {
            (Some(Some(key)), None) | (None, Some(Some(key))) => Ok(key),
            (Some(Some(a)), Some(Some(b))) if std::ptr::eq(a, b) => Ok(a),
            _ => Err(Reason::TokenKey),
        }
    }

    fn judge(&self, claims: &Claims, peer: Option<&Peer>, now: u64) -> Result<(), Reason> {
        if claims.iss != self.issuer {
            return Err(Reason::TokenIssuer);
        }
        if claims.aud != self.audience {
            return Err(Reason::TokenAudience);
        }
        if now >= claims.exp.saturating_add(LEEWAY) {
            return Err(Reason::TokenExpired);
        }
        if claims.nbf.max(claims.iat) > now.saturating_add(LEEWAY) {
            return Err(Reason::TokenEarly);
        }
        if claims.exp.checked_sub(claims.iat).is_none_or(|life| life > self.max_life) {
            return Err(Reason::TokenLife);
        }
        let peer = peer.filter(|peer| self.proxied || peer.source() == Source::Tls);
        match &claims.cnf {
            Some(bound) if peer.is_some_and(|peer| bound.is(peer)) => Ok(()),
            Some(_) => Err(Reason::TokenCertificate),
            None if self.bound => Err(Reason::TokenUnbound),
            None => Ok(()),
        }
    }
}

fn parts(token: &str) -> Option<Parts<'_>> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let (signed, signature) = token.rsplit_once('.')?;
    // A dot more is no character of base64url.
    let (header, claims) = signed.split_once('.')?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let signature = Signature::from_slice(&decode(signature)?).ok()?;
    Some(Parts { signed, header: decode(header)?, claims: decode(claims)?, signature })
}
