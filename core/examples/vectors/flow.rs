//! A scripted conversation with one agent.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use regauth::{Agent, Answer, Body, Dial, Failure, Flow, Found, Origin, Outgoing, Referrer, Secret, Step, Time};
use serde_json::Value;

/// The keys of a token request that a case must name if they are there.
const KEYS: [&str; 9] = [
    "service",
    "scope",
    "account",
    "grant_type",
    "refresh_token",
    "username",
    "password",
    "access_type",
    "offline_token",
];

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Running {
    flow: Flow,
    flag: Arc<Flag>,
}

impl Running {
    fn poll(&mut self, now: Time) -> Step<'_> {
        let waker = Waker::from(Arc::clone(&self.flag));
        self.flow.poll(now, &waker)
    }
}

/// Runs the steps of a case.
pub(crate) fn run(case: &Value) -> Result<(), String> {
    let agent = Agent::new(super::config(&case["config"])?).map_err(|error| error.to_string())?;
    let mut flows: HashMap<String, Running> = HashMap::new();
    let mut now = Time(1_000_000_000_000);
    for (number, step) in case["steps"].as_array().into_iter().flatten().enumerate() {
        if let Some(at) = step["at"].as_u64() {
            now = Time(at);
        } else if let Some(name) = step["start"].as_str() {
            let flow = start(&agent, step).map_err(|why| format!("step {number}: {why}"))?;
            flows.insert(name.to_string(), Running { flow, flag: Arc::default() });
        } else if let Some(name) = step["drop"].as_str() {
            flows.remove(name);
        } else if let Some(name) = step["woken"].as_str() {
            let woken = flows.get(name).is_some_and(|flow| flow.flag.0.load(Ordering::Relaxed));
            if !woken {
                return Err(format!("step {number}: flow {name} was not woken"));
            }
        } else {
            let name = step["flow"].as_str().unwrap_or("a");
            let flow = flows.get_mut(name).ok_or_else(|| format!("step {number}: no flow {name}"))?;
            one(flow, now, step).map_err(|why| format!("step {number} {step}: {why}"))?;
        }
    }
    Ok(())
}

fn start(agent: &Agent, step: &Value) -> Result<Flow, String> {
    let [method, url] = ["method", "url"].map(|name| step[name].as_str().unwrap_or_default());
    let mut flow = match step["of"].as_str() {
        Some(of) => {
            let origin = Origin::parse(of).map_err(|flaw| flaw.to_string())?;
            let hop = super::hop(step["hop"].as_str().unwrap_or_default())?;
            agent.referred(&Referrer::registry(origin), hop, method, url)
        }
        None => agent.request(method, url),
    }
    .map_err(|error| error.to_string())?;
    for scope in super::scope_list(&step["scopes"]) {
        flow = flow.scope(scope);
    }
    Ok(flow)
}

fn one(running: &mut Running, now: Time, step: &Value) -> Result<(), String> {
    if let Some(expected) = step.get("send") {
        // Twice: poll is idempotent.
        running.poll(now);
        return match running.poll(now) {
            Step::Send(out) => sent(expected, out),
            other => Err(came(&other)),
        };
    }
    if let Some(answer) = step.get("answer") {
        let headers: Vec<(String, String)> = answer["headers"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|pair| (pair[0].as_str().unwrap_or_default().into(), pair[1].as_str().unwrap_or_default().into()))
            .collect();
        let status = u16::try_from(answer["status"].as_u64().unwrap_or_default()).unwrap_or_default();
        let url = answer["url"].as_str();
        let body = answer["body"].as_str().unwrap_or_default().as_bytes();
        running.poll(now);
        running.flow.answer(now, Answer::new(status, &headers).body(body).url(url));
        running.poll(now);
        return Ok(());
    }
    if let Some(why) = step["fail"].as_str() {
        let why = match why {
            "connect" => Failure::Connect,
            "timeout" => Failure::Timeout,
            "reset" => Failure::Reset,
            "tls-certificate-required" => Failure::CertificateRequired,
            "tls-rejected" => Failure::CertificateRejected,
            "address-refused" => Failure::AddressRefused,
            other => return Err(format!("unknown failure {other:?}")),
        };
        running.flow.failed(now, why, None);
        running.poll(now);
        return Ok(());
    }
    if let Some(registry) = step["credentials"].as_str() {
        return match running.poll(now) {
            Step::Credentials(query) if query.registry.to_string() == registry => Ok(()),
            other => Err(came(&other)),
        };
    }
    if let Some(found) = step.get("found") {
        let found = super::credentials(found).map(|credentials| Found { credentials, valid_until: None });
        running.flow.credentials(now, Ok(found));
        running.poll(now);
        return Ok(());
    }
    if step["wait"] == true {
        running.flag.0.store(false, Ordering::Relaxed);
        return match running.poll(now) {
            Step::Wait { .. } => Ok(()),
            other => Err(came(&other)),
        };
    }
    if let Some(to) = step["dial"].as_str() {
        running.poll(now);
        let dial = to.parse().map_or(Dial::Proxied, Dial::Ip);
        let refused = running.flow.dial(dial).is_err();
        let expected = step["refused"] == true;
        return if refused == expected { Ok(()) } else { Err(format!("refused: {refused}")) };
    }
    if let Some(status) = step["done"].as_u64() {
        running.poll(now);
        return match running.flow.status() {
            Some(came) if u64::from(came) == status => Ok(()),
            Some(other) => Err(format!("done with {other}")),
            None => Err(came(&running.poll(now))),
        };
    }
    if let Some(failed) = step.get("failed") {
        return match running.poll(now) {
            Step::Failed(error) => {
                let (fault, hop) = (error.fault().as_str(), error.hop().map(|hop| hop.as_str()));
                let good =
                    failed["fault"] == fault && failed.get("hop").is_none_or(|expected| expected.as_str() == hop);
                if good { Ok(()) } else { Err(format!("{fault} at {hop:?}: {error}")) }
            }
            other => Err(came(&other)),
        };
    }
    if let Some(texts) = step.get("explain") {
        let mut transcript = String::new();
        running.flow.explain(&mut transcript).map_err(|error| error.to_string())?;
        let missing =
            texts.as_array().into_iter().flatten().filter_map(Value::as_str).find(|t| !transcript.contains(t));
        let hidden = step["hides"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let shown = hidden.into_iter().find(|text| transcript.contains(text));
        return match (missing, shown) {
            (None, None) => Ok(()),
            (missing, shown) => Err(format!("missing {missing:?}, shown {shown:?} in:\n{transcript}")),
        };
    }
    Err("unknown step".into())
}

fn came(step: &Step<'_>) -> String {
    match step {
        Step::Send(out) => {
            let authorization = out.header("authorization").map(plain);
            format!("came a request: {} {} {} {authorization:?}", out.hop, out.method, out.url)
        }
        other => format!("came {other:?}"),
    }
}

fn plain(secret: &Secret) -> String {
    String::from_utf8_lossy(secret.expose()).into_owned()
}

fn sent(expected: &Value, out: &Outgoing) -> Result<(), String> {
    let check = |name: &str, came: Value| match expected.get(name) {
        Some(value) if *value != came => Err(format!("{name}: came {came}")),
        _ => Ok(()),
    };
    let url = out.url.to_string();
    let (base, query) = url.split_once('?').unwrap_or((&url, ""));
    check("hop", out.hop.as_str().into())?;
    check("method", out.method.clone().into())?;
    check("url", if out.hop.is_token() { base.into() } else { url.clone().into() })?;
    check("identity", out.identity.clone().into())?;
    check("authorization", out.header("authorization").map(plain).into())?;
    if expected.get("query").is_some() {
        pairs("query", &expected["query"], query)?;
    }
    if expected.get("form").is_some() {
        let Body::Form(form) = &out.body else { return Err("no form".into()) };
        pairs("form", &expected["form"], &plain(form))?;
    }
    for (name, value) in expected["headers"].as_object().into_iter().flatten() {
        check_header(name, Some(value), out)?;
    }
    for name in expected["absent"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        check_header(name, None, out)?;
    }
    Ok(())
}

fn check_header(name: &str, expected: Option<&Value>, out: &Outgoing) -> Result<(), String> {
    let came = out.header(name).map(plain);
    if came.as_deref() == expected.and_then(Value::as_str) { Ok(()) } else { Err(format!("header {name}: {came:?}")) }
}

fn pairs(what: &str, expected: &Value, encoded: &str) -> Result<(), String> {
    let mut came: HashMap<String, Vec<String>> = HashMap::new();
    for (name, value) in encoded.split('&').filter_map(|pair| pair.split_once('=')) {
        came.entry(decode(name)).or_default().push(decode(value));
    }
    for key in KEYS.into_iter().chain(expected.as_object().into_iter().flatten().map(|(key, _)| key.as_str())) {
        let list: Option<Vec<String>> =
            expected[key].as_array().map(|list| list.iter().filter_map(Value::as_str).map(str::to_string).collect());
        if came.get(key).cloned() != list {
            return Err(format!("{what} {key}: came {:?}", came.get(key)));
        }
    }
    Ok(())
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16)).unwrap_or_default();
                let high = digit();
                u8::try_from(high * 16 + digit()).unwrap_or_default()
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
