//! Tokens, verified: ES256 and nothing else, with keys that are configured and never taken from the token.
//!
//! Made for a registry's [`Guard`](super::Guard); alone, it serves an API beside the registry, with a key and an
//! audience of its own, so that neither takes the other's tokens.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::Signature;
#[cfg(any(test, not(all(feature = "ring", not(target_family = "wasm")))))]
use p256::ecdsa::signature::Verifier as _;
use p256::pkcs8::{DecodePublicKey as _, EncodePublicKey as _};

use super::call::{Reason, SetupError, quotable};
use super::json::Object;
use super::jws::{Access, Claims, Confirmation, KeyError, is_kid, libtrust_id, thumbprint};
use super::peer::{Peer, Source, spki_of};
use super::{LEEWAY, MAX_TOKEN};
use crate::key::{KeyPair, pem};
use crate::time::Time;

/// The longest life of a token that is believed, in seconds: an hour, and a minute for rounding and clocks.
const MAX_LIFE: u64 = 3660;

/// A P-256 key that verifies tokens, and the names by which tokens may refer to it.
///
/// Those are always its RFC 7638 thumbprint, its libtrust id and an `x5c` whose first certificate holds it; a `kid` of
/// another kind is added by [`named`](Self::named).
#[derive(Clone, Debug)]
pub struct VerifyingKey {
    key: p256::ecdsa::VerifyingKey,
    spki: Vec<u8>,
    kids: Vec<String>,
}

impl VerifyingKey {
    /// The key in a PEM block `PUBLIC KEY` (SubjectPublicKeyInfo). One whose thumbprint is ambiguous is refused.
    pub fn from_pem(public: &str) -> Result<Self, KeyError> {
        Self::new(p256::ecdsa::VerifyingKey::from_public_key_pem(public).map_err(|_| KeyError::NotP256)?)
    }

    /// The key of a certificate, DER: of the one that a registry has in its `rootcertbundle`. Only the key is read.
    pub fn from_certificate(der: &[u8]) -> Result<Self, KeyError> {
        let spki = spki_of(der).ok_or(KeyError::NotP256)?;
        Self::new(p256::ecdsa::VerifyingKey::from_public_key_der(&spki).map_err(|_| KeyError::NotP256)?)
    }

    fn new(key: p256::ecdsa::VerifyingKey) -> Result<Self, KeyError> {
        let point = key.to_encoded_point(false);
        let (Some(x), Some(y)) = (point.x(), point.y()) else { return Err(KeyError::NotP256) };
        if x.first() == Some(&0) || y.first() == Some(&0) {
            return Err(KeyError::Ambiguous);
        }
        let spki = key.to_public_key_der().map_err(|_| KeyError::NotP256)?.as_bytes().to_vec();
        let kids = vec![thumbprint((x, y)), libtrust_id(&spki)];
        Ok(Self { key, spki, kids })
    }

    pub(super) fn own(pair: &KeyPair) -> Self {
        let spki = pair.spki_der();
        Self { key: pair.verifying(), kids: vec![thumbprint(pair.coordinates()), libtrust_id(&spki)], spki }
    }

    /// The same key under one more `kid`: 1 to 128 printable ASCII characters, compared byte for byte.
    pub fn named(mut self, kid: &str) -> Result<Self, KeyError> {
        if !is_kid(kid) {
            return Err(KeyError::Kid);
        }
        self.kids.push(kid.into());
        Ok(self)
    }

    /// The key: SubjectPublicKeyInfo, PEM.
    pub fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki)
    }

    /// Whether this key made the signature of the message. ring, where it is there, says the same several times faster.
    #[cfg(all(feature = "ring", not(target_family = "wasm")))]
    fn holds(&self, message: &[u8], signature: &Signature) -> bool {
        use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
        let point = self.key.to_encoded_point(false);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, &signature.to_bytes()).is_ok()
    }

    #[cfg(not(all(feature = "ring", not(target_family = "wasm"))))]
    fn holds(&self, message: &[u8], signature: &Signature) -> bool {
        self.key.verify(message, signature).is_ok()
    }
}

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
        let mut kids: Vec<&String> = keys.iter().flat_map(|key| &key.kids).collect();
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
        let by_kid = text("kid")?.map(|kid| self.keys.iter().find(|key| key.kids.contains(&kid)));
        let chain: Option<Vec<&str>> = header.get("x5c").map_err(|()| Reason::TokenSyntax)?;
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

fn read_claims(json: &[u8]) -> Option<Claims> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_implementation_says_the_same() {
        let mut good = 0;
        for n in 0..24u8 {
            let pair = KeyPair::generate(&[n; 32]).unwrap();
            let key = VerifyingKey::own(&pair);
            let message = vec![n; usize::from(n) * 9];
            let signed = pair.sign_fixed(&message).unwrap();
            let (r, s) = Signature::from_slice(&signed).unwrap().split_scalars();
            // Both halves of the curve's order are good (RFC 7518 section 3.4 asks for neither).
            let mirrored = Signature::from_scalars(r, -*s).unwrap().to_bytes();
            let mut cases = vec![(message.clone(), signed), (message.clone(), mirrored.into())];
            for at in [0, 31, 32, 63] {
                let mut spoilt = signed;
                spoilt[at] ^= 1 << (n % 8);
                cases.push((message.clone(), spoilt));
            }
            let mut swapped = signed;
            swapped.rotate_left(32);
            cases.push((message.clone(), swapped));
            cases.push(([&*message, b"x"].concat(), signed));
            for (message, signature) in cases {
                let Ok(signature) = Signature::from_slice(&signature) else { continue };
                let expected = key.key.verify(&message, &signature).is_ok();
                assert_eq!(key.holds(&message, &signature), expected);
                good += u32::from(expected);
            }
        }
        assert_eq!(good, 2 * 24);
    }
}
