use regauth_proxy_tests::host::{Call, Fields, Machine, fields};

pub const CONFIGURATION: &str = r#"{"registries": {"https://reg.example": {
    "cluster": "registry", "realms": {"https://auth.example": "tokens"}}}}"#;

pub const CHALLENGE: &str =
    r#"Bearer realm="https://auth.example/token",service="reg",scope="repository:team/app:pull""#;

/// A request to the registry, at this attempt.
pub fn request(method: &str, path: &str, attempt: u32) -> Fields {
    let attempt = attempt.to_string();
    fields(&[
        (":method", method),
        (":path", path),
        (":authority", "reg.example:443"),
        (":scheme", "https"),
        ("accept", "*/*"),
        ("x-envoy-attempt-count", &attempt),
    ])
}

/// A pull of `team/app`.
pub fn pull(attempt: u32) -> Fields {
    request("GET", "/v2/team/app/manifests/one", attempt)
}

pub fn status(status: &str) -> Fields {
    fields(&[(":status", status), ("content-type", "application/json")])
}

pub fn challenged(challenge: &str) -> Fields {
    fields(&[(":status", "401"), ("www-authenticate", challenge)])
}

/// A token that lives for so many seconds.
pub fn token(name: &str, seconds: u64) -> Vec<u8> {
    format!("{{\"token\": \"{name}\", \"expires_in\": {seconds}}}").into_bytes()
}

/// A 401 and its answer, on streams `id` and `id + 1`: the token request that comes of it. The second stream is paused.
pub fn cold(machine: &mut Machine, id: u32) -> Call {
    assert!(!machine.request(id, pull(1), true), "nothing is known, so it goes on as it is");
    assert_eq!(machine.sent(id, "authorization"), None);
    assert!(!machine.response(id, challenged(CHALLENGE)), "a paused answer would be the end of the machine");
    assert_eq!(machine.got(id, "www-authenticate"), None, "the client's next hop is not the token endpoint");
    let calls = machine.calls();
    machine.end(id);
    assert!(machine.request(id + 1, pull(2), true));
    let [call] = calls.as_slice() else { panic!("{calls:?}") };
    call.clone()
}

/// Gives it a token; the paused stream goes on with it.
pub fn serve(machine: &mut Machine, call: &Call, stream: u32, name: &str, seconds: u64) {
    machine.answer(call, Some((status("200"), &token(name, seconds))));
    assert_eq!(machine.state().resumed.pop(), Some(stream));
    assert_eq!(machine.sent(stream, "authorization").unwrap(), format!("Bearer {name}"));
}

/// The answer to a request, which is then over.
pub fn done(machine: &mut Machine, stream: u32) {
    assert!(!machine.response(stream, status("200")));
    machine.end(stream);
}

/// The last reply of the module's own: stream, status, code.
pub fn reply(machine: &mut Machine) -> (u32, u32, String, String) {
    let (stream, status, body) = machine.state().replies.pop().expect("a reply");
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let text = |name: &str| body["errors"][0][name].as_str().unwrap().to_string();
    (stream, status, text("code"), text("message"))
}
