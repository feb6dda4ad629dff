//! One vector, run against the library. No file, no clock: the same code runs on wasm.

use std::net::IpAddr;

use regauth::hop::{Chain, Decision, Question, decide};
use regauth::{Config, Credentials, Hop, Host, Identity, Mode, Origin, Pair, PairKind, Reference, Scope, Secret, Url};
use regauth::{challenge, scope, token};
use serde_json::{Value, json};

#[path = "flow.rs"]
mod flow;

/// Runs one line; the id, or the id and what went wrong.
pub(crate) fn line(line: &str) -> Result<String, (String, String)> {
    let case: Value = serde_json::from_str(line).map_err(|error| (String::new(), error.to_string()))?;
    let id = case["id"].as_str().unwrap_or_default().to_string();
    let result = match case["kind"].as_str().unwrap_or_default() {
        "challenge" => challenges(&case),
        "origin" => origin(&case),
        "scope" => scopes(&case),
        "reference" => reference(&case),
        "merge" => merge(&case),
        "cover" => cover(&case),
        "token-answer" => token_answer(&case),
        "decide" => decision(&case),
        "flow" => flow::run(&case),
        other => Err(format!("unknown kind {other:?}")),
    };
    result.map(|()| id.clone()).map_err(|why| (id, why))
}

/// Compares the members of `came` that `case` has too; what a case does not name is not checked.
fn compare(case: &Value, came: &Value) -> Result<(), String> {
    for (name, value) in came.as_object().into_iter().flatten() {
        match case.get(name) {
            Some(expected) if expected != value => return Err(format!("{name}: expected {expected}, came {value}")),
            _ => {}
        }
    }
    if case["error"] == true && came["error"] != true {
        return Err(format!("expected an error, came {came}"));
    }
    if case.get("error").is_none() && came.get("error").is_some() {
        return Err(format!("came {came}"));
    }
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn challenges(case: &Value) -> Result<(), String> {
    let fields: Vec<&str> = case["headers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let all = challenge::parse(fields.iter().map(|field| field.as_bytes()));
    let list: Vec<Value> = all
        .challenges
        .iter()
        .map(|challenge| {
            let params: serde_json::Map<String, Value> = challenge
                .params()
                .map(|param| (text(param.name()).to_ascii_lowercase(), text(&param.value()).into()))
                .collect();
            let mut one = json!({"scheme": text(challenge.scheme()).to_ascii_lowercase(), "params": params});
            if let Some(token68) = challenge.token68() {
                one["token68"] = text(token68).into();
            }
            one
        })
        .collect();
    compare(case, &json!({"expect": list, "valid": all.flaws.is_empty()}))
}

fn origin(case: &Value) -> Result<(), String> {
    let url = case["url"].as_str().unwrap_or_default();
    compare(case, &Origin::parse(url).map_or(json!({"error": true}), |origin| json!({"origin": origin.to_string()})))
}

fn strings(scopes: &[Scope]) -> Value {
    scopes.iter().map(Scope::as_str).collect::<Vec<_>>().into()
}

fn scope_list(list: &Value) -> Vec<Scope> {
    list.as_array().into_iter().flatten().filter_map(|scope| Scope::new(scope.as_str()?)).collect()
}

fn scopes(case: &Value) -> Result<(), String> {
    let [method, path] = ["method", "path"].map(|name| case[name].as_str().unwrap_or_default());
    compare(case, &json!({"scopes": scope::needed(method, path).map(|scopes| strings(&scopes))}))
}

fn reference(case: &Value) -> Result<(), String> {
    let came = Reference::parse(case["name"].as_str().unwrap_or_default()).map_or(json!({"error": true}), |name| {
        json!({"origin": name.origin().to_string(), "domain": name.domain(), "repository": name.repository(),
               "tag": name.tag(), "digest": name.digest()})
    });
    compare(case, &came)
}

fn merge(case: &Value) -> Result<(), String> {
    let lists: Vec<Scope> = case["scopes"].as_array().into_iter().flatten().flat_map(scope_list).collect();
    compare(case, &json!({"merged": strings(&scope::merge(&lists))}))
}

fn cover(case: &Value) -> Result<(), String> {
    let [granted, needed] = ["granted", "needed"].map(|name| scope_list(&case[name]));
    compare(case, &json!({"covers": scope::covers(&granted, &needed)}))
}

fn token_answer(case: &Value) -> Result<(), String> {
    let status = u16::try_from(case["status"].as_u64().unwrap_or_default()).unwrap_or_default();
    let body = case["body"].as_str().unwrap_or_default();
    let plain = |secret: &Secret| text(secret.expose());
    let came = match token::read(case["method"].as_str().unwrap_or_default(), status, body.as_bytes()) {
        Ok(grant) => {
            json!({"token": plain(&grant.token), "life": grant.life, "refresh": grant.refresh.as_ref().map(plain)})
        }
        Err(token::NoGrant::Unsupported) => json!({"error": "unsupported-grant"}),
        Err(token::NoGrant::Refused(_)) => json!({"error": "refused"}),
        Err(_) => json!({"error": "malformed"}),
    };
    compare(case, &came)
}

/// The hop with this name.
pub(crate) fn hop(name: &str) -> Result<Hop, String> {
    [Hop::Registry, Hop::Token, Hop::Redirect, Hop::Upload, Hop::Layer, Hop::TokenRedirect]
        .into_iter()
        .find(|hop| hop.as_str() == name)
        .ok_or_else(|| format!("unknown hop {name:?}"))
}

fn parsed(value: &Value) -> Result<Origin, String> {
    let text = value.as_str().unwrap_or_default();
    Origin::parse(text).map_err(|flaw| format!("{text:?} {flaw}"))
}

/// Credentials out of `{"user", "password"}`, `{"refresh"}` or `{"bearer"}`; `None` for anything else.
pub(crate) fn credentials(value: &Value) -> Option<Credentials> {
    if let Some(user) = value["user"].as_str() {
        let password = value["password"].as_str().unwrap_or_default().into();
        return Some(Credentials::Basic { user: user.to_string(), password });
    }
    let refresh = value["refresh"].as_str().map(|token| Credentials::Refresh(token.into()));
    refresh.or_else(|| Some(Credentials::Bearer(value["bearer"].as_str()?.into())))
}

/// The configuration of a case.
pub(crate) fn config(value: &Value) -> Result<Config, String> {
    let mut config = Config::default();
    for (origin, entry) in value["hosts"].as_object().into_iter().flatten() {
        let mut host = Host::default();
        host.identities.extend(entry["identity"].as_str().map(|label| Identity::named(label, [0; 32])));
        for (name, value) in entry["headers"].as_object().into_iter().flatten() {
            host.headers.push((name.clone(), std::sync::Arc::new(value.as_str().unwrap_or_default().into())));
        }
        host.local = entry["local"] == true;
        host.password_over_http = entry["password_over_http"] == true;
        host.skip_verify = entry["skip_verify"] == true;
        host.password_unverified = entry["password_unverified"] == true;
        config.host(parsed(&origin.as_str().into())?, host);
    }
    for (origin, entry) in value["credentials"].as_object().into_iter().flatten() {
        let origin = parsed(&origin.as_str().into())?;
        match credentials(entry) {
            Some(credentials) => config.credentials(origin, credentials),
            None => config.ask(origin),
        };
    }
    for pair in value["pairs"].as_array().into_iter().flatten() {
        let (kind, other) = match pair.get("storage") {
            Some(storage) => (PairKind::Storage, storage),
            None => (PairKind::Token, &pair["token"]),
        };
        let new = Pair::new(parsed(&pair["registry"])?, kind, parsed(other)?);
        config.pair(new.identity(pair["identity"] == true).local(pair["local"] == true));
    }
    if value["mode"] == "any-https" {
        config.mode(Mode::AnyHttps);
    }
    config.password_post(value["password_post"] == true).offline_token(value["offline_token"] == true);
    Ok(config)
}

fn decision(case: &Value) -> Result<(), String> {
    let config_value = &case["config"];
    let config = config(config_value)?;
    let anchor = parsed(&case["registry"])?;
    let Ok(target) = Url::parse(case["target"].as_str().unwrap_or_default()) else {
        return compare(case, &json!({"decision": "deny"}));
    };
    let address = |name: &str| case[name].as_str().and_then(|text| text.parse::<IpAddr>().ok());
    let origins: Vec<Origin> = case["chain"].as_array().into_iter().flatten().map(parsed).collect::<Result<_, _>>()?;
    let redirects = origins.len().saturating_sub(1);
    let ask = Question {
        anchor: &anchor,
        hop: hop(case["hop"].as_str().unwrap_or_default())?,
        target: &target,
        chain: &Chain { origins, redirects, bare: false },
        credentials: config_value
            .get("credentials")
            .is_none_or(|all| all.as_object().is_some_and(|all| !all.is_empty())),
        anchor_class: address("anchor_address").map(regauth::origin::Class::of),
        address: address("address"),
    };
    let came = match decide(&config, &ask) {
        Decision::Allow(grants) => {
            let label = |origin: &Origin| config_value["hosts"][origin.to_string()]["identity"].clone();
            json!({"decision": "allow", "identity": grants.identity.as_ref().map(label), "credential": grants.credential,
                   "bearer": grants.bearer, "headers_of": grants.headers_of.map(|origin| origin.to_string())})
        }
        Decision::Ask { .. } => json!({"decision": "ask"}),
        _ => json!({"decision": "deny"}),
    };
    compare(case, &came)
}
