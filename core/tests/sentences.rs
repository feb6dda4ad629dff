//! What is said of input that is wrong: URLs, image names, HTTP messages.
#![cfg(all(feature = "config", feature = "tls"))]
#![allow(clippy::unwrap_used)] // a test

use regauth::config::Severity;
use regauth::wire::WireError;
use regauth::{Origin, Reference};

#[test]
fn urls() {
    let long = format!("https://a.example/{}", "x".repeat(8192));
    for (url, text) in [
        (long.as_str(), "is longer than 8,192 bytes"),
        ("https://a.example/a b", "holds a control character or a space"),
        ("https://a.example/\u{7f}", "holds a control character or a space"),
        ("ftp://a.example", "has a scheme other than http and https"),
        ("a.example", "has a scheme other than http and https"),
        ("https://robot:s3cret@a.example", "holds user information"),
        ("https://", "has no host, or one that is not plain ASCII labels"),
        ("https://a..example", "has no host, or one that is not plain ASCII labels"),
        ("https://1.2.3", "has a host that ends in a number and is no IPv4 address in four decimal parts"),
        ("https://a.0x7f", "has a host that ends in a number and is no IPv4 address in four decimal parts"),
        ("https://[::1%25lo]", "has brackets round something that is no IPv6 address without a zone"),
        ("https://[a]", "has brackets round something that is no IPv6 address without a zone"),
        ("https://a.example:0", "has a port that is no number from 1 to 65535"),
        ("https://a.example:65536", "has a port that is no number from 1 to 65535"),
    ] {
        assert_eq!(Origin::parse(url).unwrap_err().to_string(), text, "{url}");
    }
}

#[test]
fn image_names() {
    let id = "0123456789abcdef".repeat(4);
    for (name, text) in [
        ("", "the image name is empty or has no repository"),
        ("https://reg.example/a", "an image name has no scheme: reg.example/a is meant"),
        ("https://u:p@reg.example/a:1", "an image name has no scheme: reg.example/a:1 is meant"),
        ("reg.example:99999/a", "\"reg.example:99999\" is no host with an optional port"),
        (
            "reg.example/a__-b",
            "\"a__-b\" is no repository: lower-case components, one of . _ __ - between their parts, 255 bytes",
        ),
        ("a:-1", "\"-1\" is no tag: up to 128 letters, digits and _ . -, the first no . or -"),
        ("a@sha256:0", "\"sha256:0\" is no digest: sha256, sha384 or sha512 and lower-case hexadecimal"),
        (id.as_str(), "64 hexadecimal digits are the id of an image, not a name"),
    ] {
        assert_eq!(Reference::parse(name).unwrap_err().to_string(), text, "{name}");
    }
}

/// Each rule has its own words, for the end of a sentence, and none repeats what it is about.
#[test]
fn http_messages() {
    let rules = [
        (WireError::Method, "the method is no HTTP token"),
        (WireError::Target, "the request target is empty or holds a control character or a space"),
        (WireError::Host, "the host is empty or not visible ASCII"),
        (WireError::FieldName, "a field name is no HTTP token"),
        (WireError::FieldValue, "a field value holds a control character"),
        (WireError::CredentialField, "Authorization, Cookie and Proxy-Authorization are not the application's to set"),
        (
            WireError::FramingField,
            "a field that frames the message or rules the connection is not the application's to set",
        ),
        (WireError::NotHttp, "it does not begin with HTTP/1.0 or HTTP/1.1"),
        (WireError::Head, "its head breaks the grammar"),
        (WireError::HeadTooLong, "its head is longer than 64 KiB"),
        (WireError::TooManyFields, "it has more than 100 fields"),
        (WireError::TooManyInterim, "more than five interim responses came before it"),
        (WireError::Switched, "101 came without a request to switch protocols"),
        (WireError::Length, "its Content-Length is no decimal number"),
        (WireError::LengthsDiffer, "its Content-Length fields differ"),
        (WireError::LengthAndCoding, "it has both Content-Length and Transfer-Encoding"),
        (WireError::Coding, "its transfer coding is not chunked alone, or comes with HTTP/1.0"),
        (WireError::ChunkSize, "a chunk size is no hexadecimal number"),
        (WireError::Extensions, "its chunk extensions are longer than 16 KiB"),
        (WireError::ChunkEnd, "a chunk is longer than its size"),
        (WireError::Trailer, "its trailer breaks the grammar or is longer than 16 KiB"),
        (WireError::Truncated, "the connection ended before it was whole"),
        (WireError::TooLong, "it is longer than the limit"),
    ];
    for (rule, text) in rules {
        assert_eq!((rule.to_string().as_str(), rule.as_str()), (text, text));
    }
    // The limits that the words give are those that hold.
    assert_eq!((regauth::wire::MAX_HEAD, regauth::wire::MAX_FIELDS, regauth::wire::MAX_INTERIM), (64 << 10, 100, 5));
    assert_eq!((regauth::wire::MAX_EXTENSIONS, regauth::wire::MAX_TRAILERS), (16 << 10, 16 << 10));
}

#[test]
fn severities() {
    let all = [Severity::Info, Severity::Warning, Severity::Error];
    assert!(all.is_sorted());
    assert_eq!(all.map(Severity::as_str), ["info", "warning", "error"]);
}
