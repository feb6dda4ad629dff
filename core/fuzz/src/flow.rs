//! Whole flows with arbitrary answers: they end within a bound, show no secret, and each request carries no more than
//! the rules allow.

use std::collections::HashMap;
use std::net::IpAddr;
use std::task::Waker;

use arbitrary::{Arbitrary, Unstructured};
use regauth::origin::{Class, Origin};
use regauth::{
    Agent, Answer, Body, Credentials, Dial, Failure, Flow, Found, HelperFailure, Hop, Outgoing, Redirects, Referrer,
    Scope, Secret, Step, Time,
};

use crate::setup::{BASIC, CANARY, Kind, SETUP, Setup, credentials, holds_secret};
use crate::{FIELD, RECORD};

const NOW: Time = Time(1_795_341_600_000);
/// Requests after which a flow has to be over: thirteen attempts with ten redirects each, five token requests with three
/// redirects and two fall-backs each.
const MOST_REQUESTS: usize = 200;
/// Stands in a body for a token, or for a refresh token, with a canary in it.
const TOKEN: u8 = 0x01;
const REFRESH: u8 = 0x02;

struct Run {
    flow: Flow,
    /// Where requests other than for tokens have been.
    visited: Vec<Origin>,
    bare: bool,
    requests: usize,
    /// The token request under way: its origin and path, and whether it is there.
    realm: Option<String>,
    over: bool,
}

struct World {
    setup: Setup,
    agent: Agent,
    now: Time,
    runs: [Option<Run>; 3],
    /// Refresh tokens that were given out, and by which realm.
    given: HashMap<Vec<u8>, String>,
    anchor_class: Option<Class>,
    kind: Kind,
}

/// A [`Setup`] and records: the first byte says what is done, the second to which of three flows.
pub fn run(data: &[u8]) {
    if holds_secret(data) {
        return;
    }
    let Some((setup, script)) = data.split_at_checked(SETUP) else { return };
    let Ok(setup) = Setup::arbitrary(&mut Unstructured::new(setup)) else { return };
    let agent = Agent::new(setup.config()).expect("a configuration that can be sent");
    let kind = if setup.kind() == Kind::Ask { Kind::Basic } else { setup.kind() };
    let mut world =
        World { setup, agent, now: NOW, runs: [None, None, None], given: HashMap::new(), anchor_class: None, kind };
    let records: Vec<Vec<&[u8]>> =
        script.split(|byte| *byte == RECORD).map(|record| record.split(|byte| *byte == FIELD).collect()).collect();
    for record in &records {
        world.record(record);
    }
    // What the script left open ends within the bound, if the same answers come again and again.
    let answers: Vec<&Vec<&[u8]>> = records.iter().filter(|record| matches!(record[0], [b'a', ..])).collect();
    for place in 0..world.runs.len() {
        let mut next = 0;
        while !answers.is_empty() && world.step(place) {
            world.answer(place, answers[next % answers.len()]);
            next += 1;
        }
        world.end(place);
    }
    assert!(!holds_secret(format!("{:?}", world.agent).as_bytes()));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl World {
    fn record(&mut self, fields: &[&[u8]]) {
        let [what, place, rest @ ..] = fields[0] else { return };
        let place = usize::from(*place) % self.runs.len();
        match what {
            b's' => self.start(place, rest, fields),
            b'a' => {
                if self.step(place) {
                    self.answer(place, fields);
                }
            }
            b'f' => {
                if self.step(place)
                    && let Some(run) = &mut self.runs[place]
                {
                    let why = match rest.first().unwrap_or(&0) % 8 {
                        0 => Failure::Connect,
                        1 => Failure::Timeout,
                        2 => Failure::CertificateRequired,
                        3 => Failure::CertificateRejected,
                        4 => Failure::AddressRefused,
                        5 => Failure::Tls,
                        6 => Failure::ServerCertificate,
                        _ => Failure::Reset,
                    };
                    run.flow.failed(self.now, why, None);
                    self.look(place);
                }
            }
            b't' => {
                let (back, digits) = rest.strip_prefix(b"-").map_or((false, rest), |digits| (true, digits));
                let millis = text(digits).parse::<u64>().unwrap_or(1000).min(1 << 45);
                self.now =
                    Time(if back { self.now.0.saturating_sub(millis) } else { self.now.0.saturating_add(millis) });
            }
            b'd' => self.dial(place, rest),
            b'x' => self.end(place),
            b'r' => {
                self.agent.replace(self.setup.config()).expect("the same again");
            }
            b'w' => self.warm(fields),
            b'u' => {
                if let Some(flow) = self.agent.due(self.now) {
                    self.put(place, flow, Vec::new(), false);
                }
            }
            b'c' => self.kind = Kind::of(*rest.first().unwrap_or(&1)),
            // Misuse: an answer that nobody asked for.
            b'm' => {
                if let Some(run) = &mut self.runs[place] {
                    run.flow.credentials(self.now, Ok(None));
                    self.look(place);
                }
            }
            _ => {}
        }
    }

    /// `s`, place, and a byte: a request of the anchor, or a URL that the answer of another flow names.
    fn start(&mut self, place: usize, how: &[u8], fields: &[&[u8]]) {
        let method = fields.get(1).map_or("GET".into(), |method| text(method));
        let url = fields.get(2).map_or(String::new(), |url| text(url));
        let how = *how.first().unwrap_or(&b'0');
        let anchor = self.setup.anchor();
        let hop = [Hop::Registry, Hop::Redirect, Hop::Upload, Hop::Layer][usize::from(how) % 4];
        let (made, visited, bare) = match how & 0x0c {
            // The digits 0 to 3, to make seeds readable.
            0 => (self.agent.request(&method, &format!("{anchor}{url}")), Vec::new(), false),
            4 => {
                let made = self.agent.referred(&Referrer::registry(anchor.clone()), hop, &method, &url);
                (made, Vec::new(), hop == Hop::Layer)
            }
            _ => {
                let by = usize::from(how >> 4) % self.runs.len();
                let Some(run) = &self.runs[by] else { return };
                let made = self.agent.referred(&run.flow.referrer(), hop, &method, &url);
                (made, run.visited.clone(), run.bare || hop == Hop::Layer)
            }
        };
        let Ok(mut flow) = made else { return };
        // The URL of a request may have another authority than it seems: that is the caller's choice, and another anchor.
        if *flow.anchor() != anchor {
            return;
        }
        for scope in fields.get(3).map(|list| Scope::list(&text(list))).unwrap_or_default() {
            flow = flow.scope(scope);
        }
        if how & 0x80 != 0 {
            flow = flow.redirects(Redirects::Host);
        }
        self.put(place, flow, visited, bare);
    }

    fn put(&mut self, place: usize, flow: Flow, visited: Vec<Origin>, bare: bool) {
        self.end(place);
        self.runs[place] = Some(Run { flow, visited, bare, requests: 0, realm: None, over: false });
    }

    /// Gives a flow up, and looks whether it showed a secret.
    fn end(&mut self, place: usize) {
        if let Some(run) = self.runs[place].take() {
            let mut shown = format!("{:?} {:?}", run.flow, run.flow.referrer());
            run.flow.explain(&mut shown).expect("a string");
            assert!(!holds_secret(shown.as_bytes()), "{shown}");
        }
    }

    /// Goes on to where the flow wants to send something; false if there is nothing to send.
    fn step(&mut self, place: usize) -> bool {
        for _ in 0..20 {
            let Some(run) = &mut self.runs[place] else { return false };
            match run.flow.poll(self.now, Waker::noop()) {
                Step::Send(_) => return true,
                Step::Credentials(query) => {
                    assert_eq!(query.registry, self.setup.anchor(), "a look-up names the registry");
                    let found = match self.kind {
                        Kind::Colon => Err(HelperFailure("not there".into())),
                        kind => Ok(credentials(kind)),
                    };
                    let found = found
                        .map(|found| found.map(|credentials: Credentials| Found { credentials, valid_until: None }));
                    run.flow.credentials(self.now, found);
                    self.look(place);
                }
                Step::Wait { until, .. } => self.now = self.now.max(until),
                _ => return false,
            }
        }
        panic!("it waits for ever");
    }

    fn answer(&mut self, place: usize, fields: &[&[u8]]) {
        let Some(run) = &mut self.runs[place] else { return };
        let status = text(fields[0].get(2..).unwrap_or_default()).parse().unwrap_or(401);
        let (body, lines) = match fields {
            [_, lines @ .., body] => (*body, lines),
            _ => (&[][..], &[][..]),
        };
        let mut url = None;
        let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
        for line in lines {
            let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
            let (name, value) = (text(&line[..at]), line.get(at + 1..).unwrap_or_default());
            if name == "@url" {
                url = Some(text(value));
            } else {
                headers.push((name, value.to_vec()));
            }
        }
        let mut whole = Vec::new();
        for byte in body {
            match *byte {
                TOKEN => whole.extend_from_slice(format!("{CANARY}-token-{}", self.given.len()).as_bytes()),
                REFRESH => {
                    let token = format!("{CANARY}-refresh-{}", self.given.len()).into_bytes();
                    whole.extend_from_slice(&token);
                    self.given.insert(token, run.realm.clone().unwrap_or_default());
                }
                byte => whole.push(byte),
            }
        }
        run.flow.answer(self.now, Answer::new(status, &headers).body(&whole).url(url.as_deref()));
        self.look(place);
    }

    /// Looks at what the flow does now, and whether that is allowed.
    fn look(&mut self, place: usize) {
        let Some(run) = &mut self.runs[place] else { return };
        let before = run.over;
        match run.flow.poll(self.now, Waker::noop()) {
            Step::Send(out) => {
                assert!(!before, "it was over");
                run.requests += 1;
                assert!(run.requests <= MOST_REQUESTS, "it does not end");
                check(&self.setup, &self.agent, &self.given, out, &run.visited, run.bare);
                let shown = format!("{out:?}");
                assert!(!holds_secret(shown.as_bytes()), "{shown}");
                if out.hop.is_token() {
                    assert!(
                        !run.bare && run.visited.iter().all(|at| *at == self.setup.anchor()),
                        "a challenge of elsewhere"
                    );
                    if out.hop == Hop::Token {
                        run.realm = Some(realm(out));
                    }
                } else {
                    run.visited.push(out.url.origin().clone());
                }
            }
            Step::Failed(error) => {
                let shown = format!("{error} {error:?} {}", error.remedy());
                assert!(!holds_secret(shown.as_bytes()), "{shown}");
                run.over = true;
            }
            Step::Done => run.over = true,
            Step::Wait { .. } | Step::Credentials(_) => assert!(!before, "it was over"),
            other => panic!("{other:?}"),
        }
    }

    fn dial(&mut self, place: usize, to: &[u8]) {
        if !self.step(place) {
            return;
        }
        let Some(run) = &mut self.runs[place] else { return };
        let Step::Send(out) = run.flow.poll(self.now, Waker::noop()) else { return };
        let (hop, at) = (out.hop, out.url.origin().clone());
        let basic = || out.header("authorization").is_some_and(|value| value.expose().starts_with(b"Basic "));
        let password = matches!(out.body, Body::Form(_)) || basic();
        // No password goes where a name like localhost leads over plain http, and a storage pair's leave is for what its
        // registry says itself.
        let less = (password && !at.is_https()) || (!hop.is_token() && run.visited.len() > 1);
        match text(to).parse::<IpAddr>() {
            Ok(address) => {
                let allowed = run.flow.dial(Dial::Ip(address)).is_ok();
                let may = self.setup.may_be_at(hop, &at, address, self.anchor_class);
                assert!(allowed == may || (less && !allowed), "{hop} at {at}: {address}, {allowed}");
                if allowed && at == self.setup.anchor() {
                    self.anchor_class = Some(Class::of(address));
                }
            }
            Err(_) => {
                let allowed = run.flow.dial(Dial::Proxied).is_ok();
                let local = at.class().is_some_and(|class| class != Class::Public);
                let may = at.is_https() && (!local || self.setup.has_leave(hop, &at));
                assert!(allowed == may || (less && !allowed), "{hop} at {at}: {allowed}");
            }
        }
    }

    /// The warm path gives a bearer token of this registry, and nothing else.
    fn warm(&self, fields: &[&[u8]]) {
        let (method, url) = (fields.get(1).copied().unwrap_or(b"GET"), fields.get(2).copied().unwrap_or_default());
        let url = text(url);
        let mut out = Vec::new();
        let there = self.agent.authorize(self.now, &text(method), &url, &mut out);
        assert_eq!(there, out.starts_with(b"Bearer ") && out.len() > 7);
        assert!(there || out.is_empty());
        if there {
            assert_eq!(Origin::parse(&url).ok(), Some(self.setup.anchor()), "{url:?}");
        }
    }
}

fn realm(out: &Outgoing) -> String {
    format!("{}{}", out.url.origin(), out.url.path())
}

/// Whether a request carries no more than it may.
fn check(
    setup: &Setup,
    agent: &Agent,
    given: &HashMap<Vec<u8>, String>,
    out: &Outgoing,
    visited: &[Origin],
    bare: bool,
) {
    let to = out.url.origin();
    let most = setup.most(out.hop, to, visited, bare);
    let story = || format!("{} {} {} after {visited:?}, at most {most:?}", out.hop, out.method, out.url);
    assert!(setup.may_exist(out.hop, to), "{}", story());
    assert!(!out.url.to_string().contains(CANARY), "{}", story());
    let profile = agent.profile(out.tls).expect("it is in use");
    assert_eq!(profile.identity(), out.identity, "{}", story());
    assert!(out.identity.is_none() || out.identity == most.identity, "{:?}: {}", out.identity, story());
    for (name, value) in &out.headers {
        let value = value.expose();
        match name.as_str() {
            "X-Host" => assert_eq!(most.header.as_deref().map(str::as_bytes), Some(value), "{}", story()),
            "Authorization" if value.starts_with(b"Basic ") => {
                assert!(most.secret && (!out.hop.is_token() || out.method == "GET"), "{}", story());
                assert!(value.ends_with(BASIC.as_bytes()));
            }
            "Authorization" => assert!(value.starts_with(b"Bearer ") && most.bearer, "{}", story()),
            "Accept" | "Content-Type" => assert!(out.hop.is_token(), "{}", story()),
            other => panic!("{other}: {}", story()),
        }
        assert!(value.iter().all(|byte| *byte >= 0x20 && *byte != 0x7f), "{name}");
    }
    assert!(out.headers.iter().filter(|(name, _)| name == "Authorization").count() <= 1);
    match &out.body {
        Body::Form(form) => form_is_right(setup, given, out, form, &most),
        Body::App { .. } => assert!(!out.hop.is_token()),
        _ => {}
    }
}

fn form_is_right(
    setup: &Setup,
    given: &HashMap<Vec<u8>, String>,
    out: &Outgoing,
    form: &Secret,
    most: &crate::setup::Most,
) {
    assert!(out.hop.is_token() && out.method == "POST" && out.header("authorization").is_none());
    assert!(most.secret, "a secret in the form to {}", out.url);
    let fields: Vec<(&[u8], &[u8])> = form
        .expose()
        .split(|byte| *byte == b'&')
        .map(|pair| pair.split_at(pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len())))
        .collect();
    let count = |name: &[u8]| fields.iter().filter(|(known, _)| *known == name).count();
    assert_eq!(count(b"grant_type"), 1);
    assert_eq!(count(b"password") + count(b"refresh_token"), 1);
    assert!(count(b"scope") <= 1 && count(b"service") <= 1);
    for (name, value) in &fields {
        let value = value.get(1..).unwrap_or_default();
        if *name == b"refresh_token"
            && let Some(by) = given.get(value)
        {
            assert_eq!(out.url.origin().to_string(), by.split('/').take(3).collect::<Vec<_>>().join("/"));
            if out.hop == Hop::Token {
                assert_eq!(realm(out), *by, "a refresh token at another realm");
            }
        }
        if *name == b"password" {
            assert_eq!((value, setup.kind() == Kind::Refresh), (crate::setup::PASSWORD.as_bytes(), false));
        }
    }
}
