//! HTTP/1.1 request heads: what is written, and what never is.
#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used)]

use regauth::wire::{Framing, Request, WireError, application_field};

fn write(request: Request<'_>, fields: &[(&str, &[u8])]) -> Result<String, WireError> {
    let mut out = b"before ".to_vec();
    let result = request.write(fields.iter().copied(), &mut out);
    let text = String::from_utf8_lossy(&out).strip_prefix("before ").unwrap().to_owned();
    if result.is_err() {
        assert_eq!(text, "", "nothing is written on an error");
    }
    result.map(|()| text)
}

const GET: Request<'static> =
    Request { method: "GET", target: "/v2/", host: "reg.example", framing: Framing::None, close: false };

#[test]
fn request_heads_are_written_once_and_whole() {
    let fields: &[(&str, &[u8])] = &[("Accept", b"*/*"), ("Authorization", b"Bearer t"), ("X-Tab", b"a\tb \xff")];
    assert_eq!(
        write(GET, &fields[..2]).unwrap(),
        "GET /v2/ HTTP/1.1\r\nHost: reg.example\r\nAccept: */*\r\nAuthorization: Bearer t\r\n\r\n"
    );
    let mut out = Vec::new();
    GET.write(fields.iter().copied(), &mut out).unwrap();
    assert!(out.ends_with(b"X-Tab: a\tb \xff\r\n\r\n"));

    for (method, framing, close, tail) in [
        ("GET", Framing::None, true, "Connection: close\r\n"),
        ("DELETE", Framing::None, false, ""),
        ("POST", Framing::None, false, "Content-Length: 0\r\n"),
        ("PUT", Framing::None, false, "Content-Length: 0\r\n"),
        ("PATCH", Framing::Length(u64::MAX), true, "Content-Length: 18446744073709551615\r\nConnection: close\r\n"),
        ("PUT", Framing::Length(0), false, "Content-Length: 0\r\n"),
        ("PATCH", Framing::Chunked, false, "Transfer-Encoding: chunked\r\n"),
    ] {
        let request = Request { method, framing, close, ..GET };
        assert_eq!(write(request, &[]).unwrap(), format!("{method} /v2/ HTTP/1.1\r\nHost: reg.example\r\n{tail}\r\n"));
        // What was measured is enough, or a copy of the fields before would have stayed behind.
        let mut out = Vec::new();
        request.write(fields.iter().copied(), &mut out).unwrap();
        let mut measured = Vec::new();
        Request { framing: Framing::Length(u64::MAX), close: true, ..request }
            .write(fields.iter().copied(), &mut measured)
            .unwrap();
        assert!(out.capacity() >= measured.len() && measured.capacity() == out.capacity());
    }
}

#[test]
fn nothing_gets_into_a_request_head_that_would_end_a_line() {
    for bad in ["", "GE T", "GET\r\n", "GET\0", "G\u{e9}T", "GET:"] {
        assert_eq!(write(Request { method: bad, ..GET }, &[]), Err(WireError::Method), "{bad:?}");
    }
    for bad in ["", "/a b", "/a\r\nX: y", "/a\n", "/\0", "/\x7f", "/\t"] {
        assert_eq!(write(Request { target: bad, ..GET }, &[]), Err(WireError::Target), "{bad:?}");
    }
    for bad in ["", "reg example", "reg\r\n", "r\u{e9}g"] {
        assert_eq!(write(Request { host: bad, ..GET }, &[]), Err(WireError::Host), "{bad:?}");
    }
    for bad in ["", "A b", "A:", "A\r\nB", "A\0", "\u{e9}"] {
        assert_eq!(write(GET, &[("Ok", b"ok"), (bad, b"x")]), Err(WireError::FieldName), "{bad:?}");
        assert_eq!(application_field(bad, b"x"), Err(WireError::FieldName), "{bad:?}");
    }
    for bad in ["a\r\nB: c", "a\n", "a\r", "a\0", "\x7f", "\x1b[0m"] {
        assert_eq!(write(GET, &[("Ok", b"ok"), ("A", bad.as_bytes())]), Err(WireError::FieldValue), "{bad:?}");
        assert_eq!(application_field("A", bad.as_bytes()), Err(WireError::FieldValue), "{bad:?}");
    }
    for name in ["Host", "content-length", "TRANSFER-ENCODING", "Connection", "TE", "Upgrade", "Expect", "Trailer"] {
        assert_eq!(write(GET, &[(name, b"x")]), Err(WireError::FramingField), "{name}");
        assert_eq!(application_field(name, b"x"), Err(WireError::FramingField), "{name}");
    }
    for name in ["Authorization", "cookie", "PROXY-Authorization"] {
        assert!(write(GET, &[(name, b"x")]).is_ok(), "the core's own {name}");
        assert_eq!(application_field(name, b"x"), Err(WireError::CredentialField), "{name}");
    }
    assert_eq!(application_field("Accept", "a\tb \u{e9}".as_bytes()), Ok(()));
}

#[test]
fn a_query_is_not_shown() {
    let debug = format!("{:?}", Request { target: "/upload?sig=s3cret", ..GET });
    assert!(debug.contains("\"/upload\"") && !debug.contains("s3cret"), "{debug}");
}
