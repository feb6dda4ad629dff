//! What another program that reads the same request might see: a proxy, a framework, a registry that is not
//! distribution. Whatever any of them takes for the registry's must not be passed by, and what a registry might read out
//! of a request must not be less than what was asked for.

use regauth::server::*;

use crate::support::*;

fn needs(method: &str, target: &str) -> Need {
    need(method, target, None)
}

#[track_caller]
fn rejects(targets: &[&str]) {
    let refused = |target: &str| matches!(needs("GET", target), Need::Reject(400 | 404));
    let passed: Vec<_> = targets.iter().filter(|target| !refused(target)).collect();
    assert!(passed.is_empty(), "{passed:?}");
}

#[test]
fn a_segment_that_is_two_to_another_reader_is_climbed_out_of_at_once() {
    rejects(&[
        // One segment for who does not decode before it cleans up (WHATWG), two for who does.
        "/a%2fb/../v2/x/manifests/y",
        "/a%2Fb%2Fc/../v2/x/manifests/y",
        "/a%252fb/../v2/",
        "/%2f%2fx/../v2/",
        // One for everybody but WHATWG: nginx and Go's path.Clean go back over the whole of it.
        "/a\\b/../v2/x/manifests/y",
        "/a%5cb/../v2/",
        "/a%255cb/../v2/",
        // Half of it is decoded by one, half by the next.
        "/a%2fb%252f..%2f../v2/",
        "/x%2f%252e%252e/v2/",
    ]);
}

#[test]
fn a_host_before_the_path() {
    rejects(&[
        // Python's urlsplit ends the host at `/`, `?` and `#` only.
        "//a%2fb/v2/x",
        "//a\\b/v2/x",
        "http://a%2fb/v2/x",
        "http://a\\b/v2/x",
        // WHATWG, with a base of the same scheme: a relative path; of another: the first segment is the host.
        "http:v2/x/manifests/y",
        "https:reg.example/v2/x",
        "http%3av2/x",
        "ht\ttp:v2/x",
        "HTTP:/\\/reg.example/v2/x",
        // Node's url.parse ends a host where no host can go on.
        "http://h%20v2/x",
        "//h|v2/x",
        // One scheme after the other, or none after all.
        "http:http:v2/x",
        "./http:v2/x",
        "%2e/http:v2/x",
        "%2fh/v2/x",
        &"http:".repeat(1600),
        // What is left of it after one reader has cleaned up begins with a host for the next.
        "/.//reg.example/v2/x",
        "/x/..//reg.example/v2/x",
        "/%2e%2f/reg.example/v2/x",
        "//a//reg.example/v2/x",
        "http://reg.example//x/v2/",
    ]);
}

#[test]
fn a_path_that_ends_before_its_end() {
    rejects(&[
        "/v2%00x",
        "/v2%00/../x",
        "/./v2%00x/manifests/y",
        "/v\r2\0x",
        "/%09v%0a2%00x",
        "/v2%20x",
        "/v2%0d%0ax",
        "/v2%3fx",
        "/v2%23x",
        "/v2;x",
    ]);
}

#[test]
fn escapes_that_only_some_decode() {
    rejects(&[
        // UTF-8 that is longer than it may be.
        "/%c0%ae/v2/x",
        "/%C0%AE%C0%AE/v2/x",
        "/x/%c0%ae%c0%ae/v2/x",
        "/v%c0%b2/x",
        "/x%c0%af..%c0%afv2/x",
        "/%e0%80%ae/v2/x",
        "/%f0%80%80%ae/v2/x",
        "/%25c0%25ae/v2/x",
        // JavaScript's escape(), which some servers decode.
        "/%u002e/v2/x",
        "/%u0076%u0032/x",
        "/%U0076%U0032/x",
    ]);
}

#[test]
fn what_is_nobodys_registry() {
    for target in [
        "/api/a%2fb/v2/x",
        "/api/v2/x%2fy",
        "/a\\b/v2/x",
        "/files/100%25",
        "/caf%C3%A9/v2/x",
        "/\u{e4}/v2/x",
        "/a:b/v2/x",
        "/api/http://x/v2/",
        "/api//x/v2/",
        "/V2/",
        "/%562/a",
        "/v2x/../api/v2x",
        "/v2%2dbeta/x",
        "/v%202x",
        "http://reg.example/api//v2/x",
        "http://reg.example:5000/api/v2%20x",
        "reg.example:443",
        "*",
        "",
        "/",
        "//",
        "/..",
        "/v",
        "/2",
        "/v2.json",
    ] {
        assert_eq!(needs("GET", target), Need::NotRegistry, "{target}");
    }
}

#[test]
fn a_source_that_another_reader_finds_in_the_query() {
    let upload = "/v2/a/blobs/uploads/";
    for query in [
        // Rails, PHP and qs make a list of it, which is the text again where one is expected.
        "from[]=m",
        "from%5b%5d=m",
        "from[0]=m",
        "mount[]=x&from=m",
        // Names are trimmed by some.
        "+from=m",
        "from+=m",
        "from%20=m",
        // Decoded before it is split.
        "x=y%26from=m",
        "x=y%2526from%253dm",
        "x=y%26from%3Dm",
        "%26from=m",
        "x=y%3bfrom%3dm",
        // Split at another question mark.
        "x?from=m",
        "x=%3ffrom=m",
    ] {
        let target = format!("{upload}?{query}");
        assert_eq!(needs("POST", &target), Need::Reject(400), "{target}");
    }
    // What clients and registries really send.
    for query in [
        "_state=aBc-_%3D%3D",
        "digest=sha256%3Ae3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "_state=a%2Bb%2Fc%3D&x=from",
        "tag=from&tag=mount",
        "x=%5bfrom%5d",
        "froms=m",
        "a-from=m",
        "",
        "&",
    ] {
        let target = format!("{upload}?{query}");
        assert_eq!(needs("POST", &target), Need::Scopes(scopes(&["repository:a:pull,push"])), "{target}");
    }
}

#[test]
fn an_end_point_has_no_parts_that_another_reader_leaves_away() {
    for target in [
        "/v2/a/manifests/x%3Ay%3Az",
        "/v2/a%3A5000/manifests/x",
        "/v2/a/blobs/uploads/7f%3A",
        "/v2/a/manifests/x%3a",
        "/v2/a/manifests/.x",
        "/v2/a/manifests/x,y",
        "/v2/a/manifests/x?y#z",
        "/v2/a/tags/list?n=1&N=2",
        "/v2/a/tags/list?last=%00",
        "/v2/a/tags/list?last=%ff",
        "/v2/a/tags/list?last=%",
    ] {
        assert!(matches!(needs("GET", target), Need::Reject(400 | 404)), "{target}: {:?}", needs("GET", target));
    }
}
