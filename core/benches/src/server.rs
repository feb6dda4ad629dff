//! The server half: tokens signed and verified, ES256.

use std::hint::black_box;

use regauth::Time;
use regauth::server::{Access, Call, Claims, Guard, GuardConfig, KeyRef, SigningKey, Verdict, Verifier};

use crate::go::Go;
use crate::meter::cost;
use crate::table::{Group, other, ours};

const NOW: Time = Time(1_795_341_600_000);
const ISSUER: &str = "https://auth.example";
const SERVICE: &str = "registry.example";

pub(crate) fn tokens(go: &Go) {
    let key = SigningKey::generate(&[7; 32]).expect("a key");
    let mut claims = Claims::new(ISSUER, "robot", SERVICE, NOW, 300, &[9; 16]);
    let actions = vec!["pull".into(), "push".into()];
    claims.access.push(Access { kind: "repository".into(), name: "team/app".into(), actions });
    let token = key.sign(&KeyRef::Thumbprint, &claims).expect("a token");
    let token = token.expose_str().expect("text");
    let verifier = Verifier::new(ISSUER, SERVICE, vec![key.verifying()]).expect("a verifier");
    let config = GuardConfig::new("https://auth.example/token", SERVICE, ISSUER, vec![key.verifying()]);
    let guard = Guard::new(config).expect("a guard");
    let bearer = format!("Bearer {token}");

    let sign = || cost(200, || _ = black_box(key.sign(&KeyRef::Thumbprint, black_box(&claims)).expect("a token")));
    // Go mixes random bytes into its nonce, ours comes from key and message alone.
    let mut entries = vec![ours("regauth, RFC 6979", sign)];
    entries.extend(go.entries(&[("golang-jwt", "token sign 400")]));
    Group { title: "signing a token, ES256", unit: "ns", goal: "<= 0.8 of golang-jwt", entries }.print();

    let verify = || cost(400, || _ = black_box(verifier.verify(black_box(token), None, NOW).expect("good")));
    let check = || {
        cost(400, || {
            let fields = [bearer.as_str()];
            let call = Call::new("GET", "/v2/team/app/manifests/1.2.3").authorization(&fields);
            assert!(matches!(guard.check(black_box(&call), NOW), Verdict::Allow(_)));
        })
    };
    let mut entries = vec![ours("regauth", verify), other("regauth, the whole check of a request", check)];
    entries.extend(go.entries(&[("golang-jwt", "token verify 400")]));
    Group { title: "verifying a token, ES256", unit: "ns", goal: "<= 0.8 of golang-jwt", entries }.print();
}
