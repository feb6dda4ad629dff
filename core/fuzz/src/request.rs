//! Request heads: whatever the application and the servers' URLs hold, another parser reads the one request that was
//! meant, and no more.

use regauth::wire::{Framing, Request, application_field};

/// Method, target, host, and then names and values, separated by [`crate::FIELD`].
pub fn run(data: &[u8]) {
    let mut parts = data.split(|byte| *byte == crate::FIELD);
    let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (method, target, host) = (text(), text(), text());
    let mut rest: Vec<&[u8]> = parts.collect();
    let framing = match rest.pop() {
        Some([0, ..]) => Framing::Chunked,
        Some([1, ..]) => Framing::Length(7),
        _ => Framing::None,
    };
    let fields: Vec<(String, &[u8])> =
        rest.chunks_exact(2).map(|pair| (String::from_utf8_lossy(pair[0]).into_owned(), pair[1])).collect();
    for (name, value) in &fields {
        if application_field(name, value).is_ok() {
            let lower = name.to_ascii_lowercase();
            let owned =
                ["authorization", "cookie", "proxy-authorization", "host", "content-length", "transfer-encoding"];
            assert!(!owned.contains(&&*lower) && lower != "connection");
        }
    }
    let request = Request { method: &method, target: &target, host: &host, framing, close: false };
    let mut out = b"before".to_vec();
    let list = fields.iter().map(|(name, value)| (&**name, *value));
    if request.write(list, &mut out).is_err() {
        assert_eq!(out, b"before", "nothing is written");
        return;
    }
    let head = &out[6..];
    let mut space = vec![httparse::EMPTY_HEADER; fields.len() + 8];
    let mut read = httparse::Request::new(&mut space);
    match read.parse(head) {
        Ok(status) => assert_eq!(status, httparse::Status::Complete(head.len()), "{}", head.escape_ascii()),
        // The other parser takes no bytes above 127 in a target.
        Err(error) => {
            return assert!(
                !target.is_ascii() || error == httparse::Error::HeaderValue,
                "{error}: {}",
                head.escape_ascii()
            );
        }
    }
    assert_eq!((read.method, read.path), (Some(&*method), Some(&*target)));
    let lines = &*read.headers;
    assert!(lines.len() > fields.len() && lines.len() <= fields.len() + 2, "{}", head.escape_ascii());
    assert_eq!((lines[0].name, lines[0].value), ("Host", host.as_bytes()));
    for (line, (name, value)) in lines[1..].iter().zip(&fields) {
        assert_eq!((line.name, line.value.trim_ascii()), (&**name, value.trim_ascii()));
    }
}
