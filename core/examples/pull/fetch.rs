//! One request of the pull, and what its answer means.

use regauth::error::{CertificateState, Diagnosis};
use regauth::wire::{Exchange, Head};
use regauth::{Flow, Hop};

use crate::failure::{Exit, Failure, certificate_todo};
use crate::host::{End, Host, Sink};
use crate::table::{Row, clause};

/// How much of a refusal's body is looked at.
const MAX_REFUSAL: usize = 8 * 1024;

/// A whole answer that fits into memory.
pub(crate) struct Document {
    pub(crate) bytes: Vec<u8>,
    pub(crate) content_type: String,
    /// `Docker-Content-Digest`.
    pub(crate) digest: Option<String>,
}

/// Fetches a document of at most `limit` bytes.
pub(crate) fn document(
    host: &Host,
    pull: u32,
    flow: Flow,
    accept: &str,
    what: &str,
    limit: u64,
) -> Result<Document, Failure> {
    let mut exchange = Exchange::new(&host.agent, flow);
    header(&mut exchange, "Accept", accept)?;
    let mut sink = Whole { status: 0, content_type: String::new(), digest: None, bytes: Vec::new(), limit };
    match host.run(pull, exchange, &mut sink)? {
        End::Broken(failure) => Err(failure),
        End::Whole(_) if sink.status == 200 => {
            Ok(Document { bytes: sink.bytes, content_type: sink.content_type, digest: sink.digest })
        }
        End::Whole(row) => {
            let Whole { status, content_type, bytes, .. } = sink;
            Err(refusal(what, &Refused { status, content_type, body: bytes }, row.as_deref()))
        }
    }
}

/// Adds a field that this program has made.
pub(crate) fn header(exchange: &mut Exchange, name: &str, value: &str) -> Result<(), Failure> {
    exchange.header(name, value.as_bytes()).map_err(|error| Failure::of(&error, None))
}

struct Whole {
    status: u16,
    content_type: String,
    digest: Option<String>,
    bytes: Vec<u8>,
    limit: u64,
}

impl Sink for Whole {
    fn head(&mut self, head: &Head) -> Result<(), Failure> {
        let text = |name: &str| head.get(name).and_then(|value| std::str::from_utf8(value).ok()).map(str::to_string);
        self.status = head.status();
        self.digest = text("docker-content-digest");
        self.content_type = text("content-type").unwrap_or_default();
        if let Some((name, _)) = self.content_type.split_once(';') {
            self.content_type = name.trim().into();
        }
        Ok(())
    }

    fn body(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.status != 200 {
            keep_some(&mut self.bytes, bytes);
        } else if (self.bytes.len() + bytes.len()) as u64 > self.limit {
            let what = format!("the registry's manifest is longer than {} MiB", self.limit >> 20);
            return Err(Failure::new(Exit::Refused, what, "Check that the name is that of an image."));
        } else {
            self.bytes.extend_from_slice(bytes);
        }
        Ok(())
    }
}

/// Keeps the beginning of a refusal.
pub(crate) fn keep_some(kept: &mut Vec<u8>, bytes: &[u8]) {
    let room = MAX_REFUSAL.saturating_sub(kept.len()).min(bytes.len());
    kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
}

/// An answer other than the one that was hoped for.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    /// The beginning of its body.
    pub(crate) body: Vec<u8>,
}

/// What that answer means.
pub(crate) fn refusal(wanted: &str, refused: &Refused, row: Option<&Row>) -> Failure {
    let (status, body) = (refused.status, String::from_utf8_lossy(&refused.body));
    let hop = row.map_or(Hop::Registry, |row| row.hop);
    let place = row.map(|row| format!(" ({} at {})", row.hop, row.origin)).unwrap_or_default();
    if status == 400 && body.contains("The plain HTTP request was sent to HTTPS port") {
        let what = format!("the server speaks https on this port{place}");
        return Failure::new(Exit::Refused, what, "Leave out --http.");
    }
    let found = row.and_then(|row| {
        let kind = Some(refused.content_type.as_bytes()).filter(|kind| !kind.is_empty());
        let found =
            Diagnosis::of_answer(status, kind, &refused.body, row.configured.as_deref(), row.evidence.as_ref())?;
        (found.state != CertificateState::NotAsked).then_some((found, row))
    });
    if let Some((found, row)) = found {
        let todo = certificate_todo(&found, row.evidence.as_ref(), hop, &row.origin);
        return Failure::new(Exit::Refused, format!("{}{place}", found.what), todo);
    }
    let certificates = row.and_then(clause).map(|text| format!("; {text}")).unwrap_or_default();
    let said = said(&body).map(|said| format!(": {said}")).unwrap_or_default();
    let what = format!("{wanted} was answered with {status}{said}{place}");
    let authorized = row.is_some_and(|row| row.authorization.is_some());
    let todo = match (status, hop) {
        (401, Hop::Registry) if !authorized => "Give a user with --user NAME --password-stdin.",
        (401 | 403, Hop::Registry) => "Check the credentials, and what they are allowed to do on this repository.",
        (404, _) => "Check the image's name, tag and digest.",
        (429 | 503, _) => "Try again later.",
        (_, Hop::Registry) => "Check what the registry's log says about this request.",
        (401 | 403, _) => "Check what the storage wants: a signed URL may have expired, or the clocks may differ.",
        _ => "Check what the log of the server that the registry redirects to says about this request.",
    };
    // Certificates matter to these; a 404 has other causes.
    let certificates = if matches!(status, 400 | 401 | 403) { certificates } else { String::new() };
    Failure::new(Exit::Refused, format!("{what}{certificates}"), todo)
}

/// The first error of a body as the distribution specification has it: code and message, without what a terminal would
/// obey.
fn said(body: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(body).ok()?;
    let error = value.get("errors")?.as_array()?.first()?;
    let text = |name: &str| {
        let text = error.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
        text.chars().filter(|c| !c.is_control()).take(120).collect::<String>()
    };
    match (text("code"), text("message")) {
        (code, message) if code.is_empty() && message.is_empty() => None,
        (code, message) if message.is_empty() => Some(code),
        (code, message) => Some(format!("{code} {message}").trim().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regauth::tls::{Evidence, Shown};

    fn row(hop: Hop, shown: Shown, configured: Option<&str>) -> Row {
        let mut evidence = Evidence::default();
        evidence.shown = shown;
        evidence.hints = vec!["CN=build CA".into()];
        Row {
            pull: 1,
            hop,
            method: "GET".into(),
            origin: "https://reg.example".into(),
            path: "/v2/".into(),
            configured: configured.map(str::to_string),
            evidence: Some(evidence),
            authorization: None,
            reused: false,
            status: Some(400),
            begun: 0,
            millis: 1,
        }
    }

    #[test]
    fn a_refusal_says_what_the_certificates_have_to_do_with_it() {
        let nginx = |body: &str| Refused { status: 400, content_type: "text/html".into(), body: body.into() };
        let page = nginx("<center>No required SSL certificate was sent</center>");
        let missing = refusal("the manifest", &page, Some(&row(Hop::Registry, Shown::NoPair, None)));
        assert_eq!(
            missing.to_string(),
            "the server requires a client certificate and says so with 400; it asked for one issued by CN=build CA; none \
             is configured for it (registry at https://reg.example). Give a client certificate and its key with --cert \
             FILE --key FILE."
        );
        let storage = refusal("a blob", &page, Some(&row(Hop::Redirect, Shown::NoPair, None)));
        assert!(storage.todo.contains("--storage-origin https://reg.example"), "{storage}");
        let status = |status| Refused { status, ..Refused::default() };
        let unasked = refusal("x", &status(403), Some(&row(Hop::Registry, Shown::NotAsked, Some("me.crt"))));
        assert!(unasked.what.contains("me.crt is configured and the server did not ask"), "{unasked}");
        let none = refusal("x", &status(404), Some(&row(Hop::Registry, Shown::NoPair, None)));
        assert!(!none.what.contains("certificate"), "{none}");
        let apache = b"Reason: Cannot perform Post-Handshake Authentication.".to_vec();
        let path = Refused { body: apache, ..status(403) };
        let late = refusal("x", &path, Some(&row(Hop::Registry, Shown::NotAsked, Some("me.crt"))));
        assert!(late.what.contains("which cannot be done (registry at"), "{late}");
        assert!(late.todo.contains("for the whole host, not for a path"), "{late}");
    }

    #[test]
    fn a_server_s_words_cannot_reach_the_terminal() {
        let body = "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\\u001b[2J way\"}]}";
        assert_eq!(said(body).as_deref(), Some("DENIED no[2J way"));
        assert_eq!(said("<html>"), None);
        assert_eq!(said("{\"errors\":[]}"), None);
    }
}
