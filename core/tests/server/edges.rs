//! The edges of the rules: what is just in and just out, for tokens, token requests, policies, certificates and the mint.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer as _;
use regauth::Time;
use regauth::mint::{Ca, MintError, buildkitd, token_certificate};
use regauth::server::*;
use serde_json::json;

use crate::support::*;

/// The text of header and claims as it stands, signed by the right key.
fn signed(text: &str) -> String {
    let signature: p256::ecdsa::Signature = p256_key(&key()).sign(text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

/// A good token with this member put before the others, as text.
fn with_text(member: &str) -> String {
    forge(&header().to_string(), &format!("{{{member},{}", &claims().to_string()[1..]), &key())
}

/// A good token whose claim of this name has this text as its value.
fn with_value(name: &str, value: &str) -> String {
    let claims = with(json!({name: "HERE"})).to_string().replace("\"HERE\"", value);
    forge(&header().to_string(), &claims, &key())
}

#[test]
fn one_text_for_one_token_even_if_the_key_signed_another() {
    let (header, claims) = (header().to_string(), claims().to_string());
    // Of three lengths, so that there are bits to spare in some.
    for more in ["", " ", "  "] {
        let claims = format!("{claims}{more}");
        let [head, body] = [&header, &claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        allowed(pull(&signed(&format!("{head}.{body}"))));
        for other in [
            format!("{head}.{}", STANDARD.encode(&claims) + "="),
            format!("{head}=.{body}"),
            format!("{head}.{body}="),
            format!("{head}.{body}\n"),
            format!("{head}. {body}"),
            format!("{head}.{}", body.replacen('c', "%63", 1)),
            format!("{head}.{body}.{body}"),
            format!(".{head}.{body}"),
            format!("{head}.{body}."),
            head.clone(),
        ] {
            refused(&signed(&other), Reason::TokenSyntax);
        }
        let stray = match claims.len() % 3 {
            0 => continue,
            // The last character's lowest bits mean nothing.
            _ => body[..body.len() - 1].to_string() + if body.ends_with('Q') { "R" } else { "1" },
        };
        if URL_SAFE_NO_PAD.decode(&stray).is_err() {
            refused(&signed(&format!("{head}.{stray}")), Reason::TokenSyntax);
        }
    }
    // A signature in other forms: DER, a byte more, s of the order itself.
    let token = good();
    let (text, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let order = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
        0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let der = p256::ecdsa::Signature::from_slice(&signature).unwrap().to_der();
    for other in [
        der.as_bytes().to_vec(),
        [&signature[..], &[0]].concat(),
        [&[0], &signature[..]].concat(),
        [&signature[..32], &order].concat(),
        [&signature[..32], &[0; 32]].concat(),
        [&order, &signature[32..]].concat(),
    ] {
        refused(&format!("{text}.{}", URL_SAFE_NO_PAD.encode(other)), Reason::TokenSyntax);
    }
}

#[test]
fn numbers_are_whole_and_fit() {
    for exp in [
        "1800000300.0",
        "18000003e2",
        "1.8000003e9",
        "\"1800000300\"",
        "-1",
        "-0",
        "1e400",
        "18446744073709551616",
        "01800000300",
        "+1800000300",
        "0x6b49d328",
        "[1800000300]",
        "true",
        "null",
        "NaN",
        "1800000300 0",
        "1_800_000_300",
    ] {
        for name in ["exp", "iat", "nbf"] {
            refused(&with_value(name, exp), Reason::TokenClaims);
        }
    }
    allowed(pull(&with_value("exp", " 1800000300\n")));
    refused(&with_value("exp", "18446744073709551615"), Reason::TokenLife);
    refused(&with_value("iat", "18446744073709551615"), Reason::TokenEarly);
    refused(&with_value("nbf", "18446744073709551615"), Reason::TokenEarly);
}

#[test]
fn the_leeway_ends_at_the_millisecond() {
    let (token, begins) = (good(), token(&header(), &with(json!({"nbf": SECONDS + 100, "iat": SECONDS}))));
    let at = |token: &str, millis: u64| verifier().verify(token, None, Time(millis)).map(|_| ());
    let (end, begin) = ((SECONDS + 300 + LEEWAY) * 1000, (SECONDS + 100 - LEEWAY) * 1000);
    assert_eq!((at(&token, end - 1), at(&token, end)), (Ok(()), Err(Reason::TokenExpired)));
    assert_eq!((at(&begins, begin - 1), at(&begins, begin)), (Err(Reason::TokenEarly), Ok(())));
    assert_eq!((at(&token, 0), at(&token, u64::MAX)), (Err(Reason::TokenEarly), Err(Reason::TokenExpired)));
    // A life as long as is believed, and a guard that believes in less.
    let hour = crate::support::token(&header(), &with(json!({"exp": SECONDS + 3660})));
    allowed(pull(&hour));
    let short = Guard::new(GuardConfig { max_life: 300, ..config() }).unwrap();
    allowed(ask(&short, "GET", "/v2/", Some(&token), None));
    assert_eq!(why(ask(&short, "GET", "/v2/", Some(&hour), None)), (401, Reason::TokenLife));
}

#[test]
fn members_in_disguise() {
    // The same text is the same member, however it is escaped.
    for member in [r#""\u0061ccess":[]"#, r#""e\u0078p":1"#, r#""\u0063nf":{}"#, r#""EX\u0050":1"#] {
        refused(&with_text(member), Reason::TokenClaims);
    }
    let claims = claims().to_string();
    for (header, reason) in [
        (r#"{"alg":"ES256","kid":"2026","\u0061lg":"none"}"#, Reason::TokenSyntax),
        (r#"{"alg":"ES256","kid":"2026","cr\u0069t":[]}"#, Reason::TokenCritical),
        (r#"{"alg":"ES256","kid":"2026","Crit":["x"]}"#, Reason::TokenSyntax),
        (r#"{"alg":["ES256"],"kid":"2026"}"#, Reason::TokenSyntax),
        (r#"{"alg":null,"kid":"2026"}"#, Reason::TokenSyntax),
        (r#"{"alg":"ES256","kid":2026}"#, Reason::TokenSyntax),
        (r#"{"alg":"ES256","kid":["2026"]}"#, Reason::TokenSyntax),
        (r#"{"alg":"ES256","kid":"2026","x5c":"x"}"#, Reason::TokenSyntax),
        (r#"{"alg":"ES256 ","kid":"2026"}"#, Reason::TokenAlgorithm),
        (r#"{"alg":"ES256K","kid":"2026"}"#, Reason::TokenAlgorithm),
        (r#"{"alg":"ES256","kid":"2026","typ":"JOSE"}"#, Reason::TokenCritical),
        (r#"{"alg":"ES256","kid":"2026","typ":""}"#, Reason::TokenCritical),
        (r#"{"alg":"ES256","kid":"2026","typ":1}"#, Reason::TokenSyntax),
        ("\u{feff}{\"alg\":\"ES256\",\"kid\":\"2026\"}", Reason::TokenSyntax),
        (r#"["ES256"]"#, Reason::TokenSyntax),
        (r#"{"alg":"ES256","kid":"2026",}"#, Reason::TokenSyntax),
        (r#"{"alg":"ES256","kid":"2026"}/**/"#, Reason::TokenSyntax),
    ] {
        refused(&forge(header, &claims, &key()), reason);
    }
    for fine in [
        r#"{"alg":"ES\u0032\u0035\u0036","kid":"2026"}"#,
        " { \"alg\" : \"ES256\" , \"kid\" : \"2026\" } ",
        r#"{"alg":"ES256","kid":"2026","typ":"jwt"}"#,
        r#"{"alg":"ES256","kid":"2026","typ":"AT+JWT","zip":"DEF","b64":false,"nonce":"x"}"#,
    ] {
        allowed(pull(&forge(fine, &claims, &key())));
    }
    // Some encoders of JSON write every slash with a backslash.
    let own = token_certificate(&key(), "tokens", NOW, 3600, &[4; 32]).unwrap();
    let x5c = STANDARD.encode(&own).replace('/', "\\/");
    assert!(x5c.contains('\\'));
    allowed(pull(&forge(&format!(r#"{{"alg":"ES256","x5c":["{x5c}"]}}"#), &claims, &key())));
}

#[test]
fn nesting_that_nobody_reads_and_that_somebody_reads() {
    let nested = |open: &str, close: &str, depth: usize| open.repeat(depth) + &close.repeat(depth);
    allowed(pull(&with_text(&format!("\"x\":{}", nested("[", "]", 2000)))));
    for value in [nested("[", "]", 2000), format!("{}1{}", "{\"x\":".repeat(500), "}".repeat(500)), "{}".into()] {
        refused(&with_value("access", &value), Reason::TokenClaims);
        refused(&with_value("jti", &value), Reason::TokenClaims);
    }
    let name = |name: &str| format!(r#"[{{"type":"repository","name":{name},"actions":["pull"]}}]"#);
    for bad in ["null", "1", "[\"a/b\"]", "\"a/b", "\"\\ud800\""] {
        refused(&with_value("access", &name(bad)), Reason::TokenClaims);
    }
    allowed(pull(&with_value("access", &name(r#""a\u002fb""#))));
}

#[test]
fn bound_in_ways_that_can_be_read_in_two() {
    let peer = peer("b-1");
    let x5t = URL_SAFE_NO_PAD.encode(peer.sha256());
    let at = |cnf: &str| ask(&guard(), "GET", "/v2/a/b/manifests/x", Some(&with_value("cnf", cnf)), Some(&peer));
    assert!(allowed(at(&format!(r#"{{"x5t#S256":"{x5t}"}}"#))).bound);
    // RFC 7800 section 3.1: what is not understood beside it is ignored.
    assert!(allowed(at(&format!(r#"{{"jkt":"x","x5t#S256":"{x5t}"}}"#))).bound);
    let hex: String = peer.sha256().iter().map(|byte| format!("{byte:02x}")).collect();
    for cnf in [
        format!(r#"{{"x5t#S256":"{x5t}","x5t#S256":"{x5t}"}}"#),
        format!(r#"{{"x5t#S256":"{x5t}","X5T#s256":"x"}}"#),
        format!(r#"{{"x5t#S256":"{x5t}","x5t\u0023S256":"x"}}"#),
        format!(r#"{{"X5T#S256":"{x5t}"}}"#),
        format!(r#"{{"x5t#S256":["{x5t}"]}}"#),
        format!(r#"{{"x5t#S256":"{x5t}="}}"#),
        format!(r#"{{"x5t#S256":"{}"}}"#, STANDARD.encode(peer.sha256())),
        format!(r#"{{"x5t#S256":"{hex}"}}"#),
        format!(r#"[{{"x5t#S256":"{x5t}"}}]"#),
        format!(r#""{x5t}""#),
        "false".into(),
        "null".into(),
    ] {
        assert_eq!(why(at(&cnf)), (401, Reason::TokenClaims), "{cnf}");
    }
    // The thumbprint by SHA-1 is another member.
    assert_eq!(why(at(&format!(r#"{{"x5t":"{x5t}"}}"#))), (401, Reason::TokenClaims));
}

#[test]
fn what_a_token_allows_is_put_together_and_never_guessed() {
    let at = |method: &str, target: &str, access: serde_json::Value| {
        ask(&guard(), method, target, Some(&token(&header(), &with(json!({"access": access})))), None)
    };
    let entry = |actions: &[&str]| json!({"type": "repository", "name": "a/b", "actions": actions});
    let push = "/v2/a/b/manifests/x";
    allowed(at("PUT", push, json!([entry(&["pull"]), entry(&["push"])])));
    allowed(at("PUT", push, json!([entry(&["*"])])));
    for actions in [["pull,push", ""], ["PULL", "PUSH"], ["pull ", "push "], ["**", "pull"], ["push", "delete"]] {
        assert_eq!(why(at("PUT", push, json!([entry(&actions)]))), (401, Reason::Scope), "{actions:?}");
    }
    let catalog = |actions: &[&str]| json!([{"type": "registry", "name": "catalog", "actions": actions}]);
    allowed(at("GET", "/v2/_catalog", catalog(&["*"])));
    for access in [
        catalog(&["pull", "push", "delete"]),
        json!([{"type": "repository", "name": "catalog", "actions": ["*"]}]),
        json!([{"type": "registry", "name": "*", "actions": ["*"]}]),
    ] {
        assert_eq!(why(at("GET", "/v2/_catalog", access)), (401, Reason::Scope));
    }
    // Both repositories of a mount, each by its own entry.
    let mount = format!("/v2/a/b/blobs/uploads/?mount={DIGEST}&from=m");
    let source = |actions: &[&str]| json!([entry(&["*"]), {"type": "repository", "name": "m", "actions": actions}]);
    allowed(at("POST", &mount, source(&["pull"])));
    assert_eq!(why(at("POST", &mount, source(&["push", "delete"]))), (401, Reason::Scope));
}

const FORM: &str = "application/x-www-form-urlencoded";

fn read(issuer: &Issuer, target: &str) -> Vec<String> {
    let ask = issuer.read(&Call::new("GET", target)).unwrap();
    ask.scopes.iter().map(ToString::to_string).collect()
}

#[test]
fn scopes_of_odd_grammar() {
    let issuer = issuer();
    for (asked, granted) in [
        (
            "scope=repository:a:pull&scope=repository:b:pull&scope=repository:a:push",
            "repository:a:pull,push repository:b:pull",
        ),
        ("scope=repository:a:pull++repository:a:*", "repository:a:*"),
        ("scope=+repository:a:pull+&scope=", "repository:a:pull"),
        ("scope=repository(plugin):a:pull&scope=repository:a:push", "repository:a:pull,push"),
        ("scope=registry(x):catalog:*", "registry:catalog:*"),
        ("scope=repository:a:pull,,push", ""),
        ("scope=repository:a:,pull", ""),
        ("scope=repository:a::pull", ""),
        ("scope=repository():a:pull", ""),
        ("scope=repository(x)(y):a:pull", ""),
        ("scope=repository(x:a:pull", ""),
        ("scope=repository)x(:a:pull", ""),
        ("scope=repository(x)y:a:pull", ""),
        ("scope=Repository:a:pull", ""),
        ("scope=repository:a:pull%C2%A0", "repository:a:pull\u{a0}"),
        ("scope=repository:%61:pull", "repository:a:pull"),
        ("scope=repository:%2561:pull", ""),
        ("scope=repository:a/:pull", ""),
        ("scope=repository:a%2Fb:pull", "repository:a/b:pull"),
        ("scope=registry:catalog/x:*", ""),
        ("Scope=repository:a:pull", ""),
        ("scope[]=repository:a:pull", ""),
    ] {
        assert_eq!(read(&issuer, &format!("/token?{asked}")).join(" "), granted, "{asked}");
    }
    // An action that there is not is not granted, whoever may do everything.
    let all = ["repository:a:*", "repository:a:PULL", "registry:catalog:*"];
    for asked in ["repository:a:pull%C2%A0", "repository:a:PULL", "repository:a:**", "repository:a:admin"] {
        assert!(granted(&issue(&issuer, &format!("scope={asked}"), &builder("x"), &all)).is_empty(), "{asked}");
    }
    // The catalog's entries as they are asked for: the guard wants the star.
    assert_eq!(granted(&issue(&issuer, "scope=registry:catalog:pull", &builder("x"), &all)), ["registry:catalog:pull"]);
    for target in
        ["/token?scope=repository:a:pull%09push", "/token?scope=a%00", "/token?scope=%ff", "/token?scope=a;scope=b"]
    {
        assert_eq!(unread(&Call::new("GET", target)), (400, Reason::Parameter), "{target}");
    }
}

#[test]
fn forms_beside_queries() {
    let form = "grant_type=password&username=u&password=p";
    let at = |target: &str, media: &str, body: &[u8]| {
        let issuer = issuer();
        let read = issuer.read(&Call::new("POST", target).content_type(media).body(body));
        read.map(|ask| ask.credential).map_err(|reply| (reply.status, reply.reason))
    };
    let good = || Ok(Credential::Password { user: "u".into(), secret: "p".into() });
    for target in ["/token", "/token?", "/token?x=1&y", "/token?Scope=x", "/token?client=x"] {
        assert_eq!(at(target, FORM, form.as_bytes()), good(), "{target}");
    }
    for target in
        ["/token?scope=", "/token?%73cope=x", "/token?grant_type", "/token?access_type=offline", "/token?client_id=x"]
    {
        assert_eq!(at(target, FORM, form.as_bytes()), Err((400, Reason::Parameter)), "{target}");
    }
    for media in ["application/x-www-form-urlencoded;charset=utf-16", "Application/X-Www-Form-Urlencoded ; x", FORM] {
        assert_eq!(at("/token", media, form.as_bytes()), good(), "{media}");
    }
    for media in
        ["application/x-www-form-urlencoded, text/plain", "text/plain, application/x-www-form-urlencoded", "", "x"]
    {
        assert_eq!(at("/token", media, form.as_bytes()), Err((400, Reason::Form)), "{media}");
    }
    // Bytes of other charsets are none of ours.
    for body in [&b"grant_type=password&password=\xe4"[..], b"grant_type=password&password=%E4", b"g\0r\0=\0"] {
        assert_eq!(at("/token", FORM, body), Err((400, Reason::Parameter)));
    }
    assert_eq!(at("/token", FORM, b"\xef\xbb\xbfgrant_type=password&password=x"), Err((400, Reason::Grant)));
    // A GET's body is nobody's.
    let body = b"scope=repository:a:pull&service=evil";
    let ask = issuer().read(&Call::new("GET", "/token").content_type(FORM).body(body)).unwrap();
    assert!(ask.scopes.is_empty() && ask.service == SERVICE);
}

#[test]
fn basic_is_read_in_one_way() {
    let at = |value: &str| issuer().read(&Call::new("GET", "/token").authorization(&[value])).map(|ask| ask.credential);
    let good = |user: &str, secret: &str| Credential::Basic { user: user.into(), secret: secret.into() };
    assert_eq!(at("basic dTpw").ok(), Some(good("u", "p")));
    assert_eq!(at(&basic("u", "p:q:")).ok(), Some(good("u", "p:q:")));
    assert_eq!(at("Basic Og==").ok(), Some(good("", "")), "empty, for the host to refuse");
    for value in [
        "Basic",
        "Basic ",
        "Basic  dTpw",
        "Basic dTpw ",
        "Basic dTpw, Basic dTpw",
        "Basic Og",
        "Basic Oh==",
        "Basic dTpw=",
        "Basic dXA=",
        "Basic dTr/",
        "Basic dTpwCg==",
        "Basic dTpwAA==",
        "Basic\tdTpw",
        "Basic:dTpw",
        "Digest dTpw",
        "",
    ] {
        let reply = at(value).unwrap_err();
        assert!(reply.status == 401 && reply.header("www-authenticate").is_some(), "{value:?}");
    }
    // With a client_id beside it there is still one identity: the user's.
    let call = Call::new("GET", "/token?client_id=root&client_secret=x").authorization(&["Basic dTpw"]);
    assert_eq!(issuer().read(&call).unwrap().credential.user(), Some("u"));
}

#[test]
fn placeholders_stand_for_what_the_identity_is() {
    let has = |policy: &str, who: &Identity, asked: &str| {
        Policy::parse(policy).unwrap().may(who, &scopes(&[asked])).iter().map(ToString::to_string).collect::<String>()
    };
    let who = builder("b-1");
    for (policy, asked, granted) in [
        ("builder {tenant}/** pull", "repository:t1:pull", ""),
        ("builder {tenant}/** pull", "repository:t1/t1:pull", "repository:t1/t1:pull"),
        ("builder {build}/{build} pull", "repository:b-1/b-1:pull", "repository:b-1/b-1:pull"),
        ("builder {build}/{build} pull", "repository:b-1/t1:pull", ""),
        ("builder {role}/* pull", "repository:builder/x:pull", ""),
        ("builder * pull,push,delete", "repository:x:pull", "repository:x:pull,push,delete"),
        ("builder * pull,push,delete", "repository:x/y:pull", ""),
        ("builder ** none\nbuilder ** pull", "repository:x:pull", ""),
        ("other ** *\nbuilder {none} *", "repository:x:pull", ""),
        ("builder ** *", "repository(plugin):x:pull", ""),
        ("builder ** *", "repository:x:y:pull", ""),
        ("builder ** *", "repository:../x:pull", ""),
        ("builder ** *", "registry:catalog:*", ""),
    ] {
        assert_eq!(has(policy, &who, asked), granted, "{policy}: {asked}");
    }
    // Somebody anonymous who was given a value all the same.
    let nobody = Identity::anonymous().bind("build", "b-1").unwrap();
    assert_eq!(has("builder {build} pull,push\n* {build} pull", &nobody, "repository:b-1:push"), "repository:b-1:pull");
    for line in ["* {build} pull,push", "anonymous {build} push", "* registry:catalog *"] {
        assert_eq!(Policy::parse(line).unwrap_err().what, Flaw::Anonymous, "{line}");
    }
    // One that is there twice could never be bound.
    let template = |text: &str| Template::parse(text, "builder").map(|_| ());
    assert_eq!(template("spiffe://example.org/{x}/{y}"), Ok(()));
    let flaw = PolicyError { line: 1, what: Flaw::Pattern };
    for wrong in ["{x}/{x}", "{}", "{x}y", "a/", "", "%7bx%7d", "{x}/..", "*"] {
        assert_eq!(template(&format!("spiffe://example.org/{wrong}")), Err(flaw), "{wrong}");
    }
}

#[test]
fn names_and_addresses_of_servers() {
    let ca = Ca::new(NOW, 3600, "x", &[1; 32]).unwrap();
    let server = |names: &[&str]| ca.server(names, NOW, 60, &[2; 32]);
    // A last label that is a number to a URL parser, in whatever base, and a name that is too long with its wildcard.
    let long = format!("*.{}", ["a".repeat(63).as_str(); 4].join(".").split_at(252).0);
    for bad in [
        "a.0x7f",
        "0x7f000001",
        "a.0X",
        "localhost.",
        "*.",
        "*.1.2.3.4",
        "*a.example",
        "fe80::1%eth0",
        "1.2.3.04",
        &long,
    ] {
        assert_eq!(server(&[bad]).err(), Some(MintError::San((*bad).into())), "{bad}");
    }
    for good in ["a.0x7g", "*.localhost", "x--y_z.example", "3com.com", "1.example"] {
        assert!(server(&[good]).is_ok(), "{good}");
    }
    // IPv4 within IPv6 is what clients connect to: IPv4, in four bytes.
    let der = server(&["::ffff:192.0.2.7"]).unwrap().cert_der;
    assert!(der.windows(6).any(|window| window == [0x87, 4, 192, 0, 2, 7]));
    // A certificate for wildcards alone has no name for the commands.
    let bundle = |names: &[&str]| buildkitd(names, None, NOW, 60, &[7; 32]).map(|_| ());
    assert_eq!(bundle(&["*.a.example", "*.b.example"]), Err(MintError::San("*.a.example".into())));
    assert_eq!(bundle(&["*.a.example", "b.example"]), Ok(()));
}

#[test]
fn lives_inside_the_authoritys_to_the_second() {
    let ca = Ca::new(NOW, 3600, "x", &[1; 32]).unwrap();
    let ends = |seconds: i64, ttl: u64| {
        let now = Time(NOW.0.saturating_add_signed(seconds * 1000));
        ca.health_check(now, ttl, &[2; 32]).map(|issued| (issued.not_after.0 / 1000) as i64 - SECONDS as i64)
    };
    // The authority holds from 300 s before it was made.
    for (seconds, ttl, want) in [
        (0, 1, Ok(1)),
        (3599, 1, Ok(3600)),
        (3599, 2, Ok(3600)),
        (3600, 1, Err(MintError::OutsideCa)),
        (-300, 60, Ok(-240)),
        (-300, 86_400 * 400, Ok(3600)),
        (-301, 600, Err(MintError::OutsideCa)),
        (-301, 1, Err(MintError::OutsideCa)),
    ] {
        assert_eq!(ends(seconds, ttl), want, "{seconds} {ttl}");
    }
}
