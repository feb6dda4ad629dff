//! Hosts with an HTTP client of their own, which follows redirects by itself or asks for no flow at all.
#![allow(clippy::unwrap_used, clippy::panic)] // a test

use std::task::Waker;

use regauth::{
    Agent, Answer, Config, Credentials, ErrorKind, Flow, Hop, Host, Origin, Redirects, Step, Time, hop::Reason,
};

const MANIFEST: &str = "https://reg.example/v2/app/manifests/1";
const NOW: Time = Time(1_795_341_600_000);

fn config() -> Config {
    let mut config = Config::default();
    let registry = Origin::parse(MANIFEST).unwrap();
    config.credentials(registry, Credentials::Basic { user: "u".into(), password: "p".into() });
    config
}

/// What comes of a redirect of a request with this method to `location`, followed by the host.
fn followed(agent: &Agent, first: &Flow, method: &str, location: &str) -> Result<Flow, ErrorKind> {
    let mut next = agent.referred(&first.referrer(), Hop::Redirect, method, location).unwrap();
    let failed = match next.poll(NOW, Waker::noop()) {
        Step::Send(_) => None,
        Step::Failed(error) => Some(error.kind().clone()),
        other => panic!("{other:?}"),
    };
    failed.map_or(Ok(next), Err)
}

fn redirected(agent: &Agent, method: &str, url: &str) -> Flow {
    let mut flow = agent.request(method, url).unwrap().redirects(Redirects::Host);
    assert!(matches!(flow.poll(NOW, Waker::noop()), Step::Send(_)));
    flow.answer(NOW, Answer::new(307, &[("Location", "elsewhere")]));
    flow
}

#[test]
fn a_body_crosses_as_a_part_of_an_upload_only() {
    let agent = Agent::new(config()).unwrap();
    let denied = ErrorKind::Denied(Reason::BodyCrossing);
    let manifest = redirected(&agent, "PUT", MANIFEST);
    assert_eq!(followed(&agent, &manifest, "PUT", "https://cdn.example/x").unwrap_err(), denied);
    followed(&agent, &manifest, "GET", "https://cdn.example/x").unwrap();
    let within = followed(&agent, &manifest, "PUT", "/y").unwrap();
    assert_eq!(followed(&agent, &within, "PUT", "https://cdn.example/x").unwrap_err(), denied);
    let upload = redirected(&agent, "PATCH", "https://reg.example/v2/app/blobs/uploads/1");
    let away = followed(&agent, &upload, "PATCH", "https://cdn.example/x").unwrap();
    followed(&agent, &away, "PATCH", "https://other.example/x").unwrap();
}

#[test]
fn an_identity_that_cannot_be_used_stops_the_warm_path_too() {
    let agent = Agent::new(config()).unwrap();
    let challenge = [("WWW-Authenticate", r#"Bearer realm="https://reg.example/token",service="reg""#)];
    let mut flow = agent.request("GET", MANIFEST).unwrap();
    for (status, body) in [(401, ""), (200, r#"{"token":"T","expires_in":300}"#), (200, "")] {
        assert!(matches!(flow.poll(NOW, Waker::noop()), Step::Send(_)));
        flow.answer(NOW, Answer::new(status, &challenge).body(body.as_bytes()));
    }
    assert!(agent.authorize(NOW, "GET", MANIFEST, &mut Vec::new()));
    let (mut unusable, mut host) = (config(), Host::default());
    host.unusable = Some("the key is encrypted".into());
    unusable.host(Origin::parse(MANIFEST).unwrap(), host);
    agent.replace(unusable).unwrap();
    assert!(!agent.authorize(NOW, "GET", MANIFEST, &mut Vec::new()));
}
