//! HTTP/1.1 responses on slices: each rule as a row, and every row whole, cut at every byte, byte by byte and truncated at every
//! byte, with one and the same result.
#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use regauth::wire::{
    Body, CHUNK_END, Collector, Head, HeadReader, LAST_CHUNK, MAX_EXTENSIONS, MAX_FIELDS, MAX_HEAD, MAX_INTERIM,
    MAX_TRAILERS, Part, WireError, chunk_head,
};

/// What one response came to.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    fields: Vec<(String, Vec<u8>)>,
    content: Vec<u8>,
    keeps_alive: bool,
    /// Bytes behind the response.
    excess: usize,
}

/// Reads a response that comes in these pieces, after which the connection ends.
fn read(method: &str, pieces: &[&[u8]]) -> Result<Seen, WireError> {
    let mut reader = HeadReader::new();
    let mut waiting: Vec<u8> = Vec::new();
    let mut at = None::<(Head, Body)>;
    let mut content = Vec::new();
    let mut ended = false;
    for piece in pieces {
        waiting.extend_from_slice(piece);
        if at.is_none() {
            let (consumed, head) = reader.read(&waiting)?;
            waiting.drain(..consumed);
            let Some(head) = head else { continue };
            let body = Body::new(method, &head)?;
            at = Some((head, body));
        }
        let Some((_, body)) = &mut at else { continue };
        while !ended {
            let found = body.next(&waiting)?;
            match found.part {
                Part::Data(range) => {
                    assert!(!range.is_empty());
                    assert_eq!(range.end, found.consumed);
                    content.extend_from_slice(&waiting[range]);
                    waiting.drain(..found.consumed);
                }
                Part::More => {
                    assert_eq!(found.consumed, waiting.len());
                    waiting.clear();
                    break;
                }
                Part::End => {
                    waiting.drain(..found.consumed);
                    ended = true;
                }
                _ => unreachable!(),
            }
        }
    }
    let Some((head, mut body)) = at else { return Err(WireError::Truncated) };
    body.close()?;
    Ok(Seen {
        status: head.status(),
        fields: head.fields().map(|(name, value)| (name.into(), value.into())).collect(),
        content,
        keeps_alive: body.keeps_alive(),
        excess: waiting.len(),
    })
}

/// Reads the response in all ways and gives the one result.
fn every_way(method: &str, bytes: &[u8]) -> Result<Seen, WireError> {
    let whole = read(method, &[bytes]);
    for cut in 0..=bytes.len() {
        let (before, after) = bytes.split_at(cut);
        assert_eq!(read(method, &[before, after]), whole, "cut at {cut} of {:?}", String::from_utf8_lossy(bytes));
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(read(method, &single), whole, "byte by byte {:?}", String::from_utf8_lossy(bytes));
    whole
}

/// As [`every_way`], for a response that knows its own end; each shorter one is truncated.
fn whole_or_truncated(method: &str, bytes: &[u8]) -> Seen {
    let whole = every_way(method, bytes).unwrap();
    for length in 0..bytes.len() - whole.excess {
        assert_eq!(
            read(method, &[&bytes[..length]]),
            Err(WireError::Truncated),
            "{length} of {:?}",
            String::from_utf8_lossy(bytes)
        );
    }
    whole
}

#[test]
fn lengths_and_endings_follow_rfc_9112_section_6_3() {
    // (method, response, content, keeps alive, bytes behind it)
    let rows: &[(&str, &str, &str, bool, usize)] = &[
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", true, 0),
        ("GET", "HTTP/1.1 200 OK\r\ncontent-LENGTH:5\r\n\r\nhello", "hello", true, 0),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true, 0),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!", "hello", true, 1),
        ("GET", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", "hello", true, 0),
        ("GET", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "ok", true, 0),
        // Repeated, and alike.
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "hello", true, 0),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5 ,05\r\n\r\nhello", "hello", true, 0),
        // No content whatever the fields say.
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "", true, 0),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "", true, 0),
        ("HEAD", "HTTP/1.1 404 Not Found\r\n\r\n", "", true, 0),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "", true, 5),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", "", true, 0),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "", true, 0),
        // Chunks.
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello", true, 0),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\nX",
            "hello",
            true,
            1,
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n00\r\n\r\n",
            "0123456789",
            true,
            0,
        ),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", true, 0),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b;c=\"d;e\"\r\nhello\r\n2 \t;x\r\n!!\r\n0 \r\n\r\n",
            "hello!!",
            true,
            0,
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0;e\r\nDigest: x\r\nEmpty:\r\n\r\n",
            "hello",
            true,
            0,
        ),
        // Who keeps the connection.
        ("GET", "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 1\r\n\r\nx", "x", false, 0),
        ("GET", "HTTP/1.1 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 1\r\n\r\nx", "x", false, 0),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: y ,\tclose\r\nContent-Length: 1\r\n\r\nx",
            "x",
            false,
            0,
        ),
        ("GET", "HTTP/1.1 200 OK\r\nConnection: closed\r\nContent-Length: 1\r\n\r\nx", "x", true, 0),
        ("GET", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "x", false, 0),
        ("GET", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx", "x", true, 0),
        ("GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 1\r\n\r\nx", "x", false, 0),
        // Interim responses.
        ("GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "x", true, 0),
        (
            "GET",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
            "",
            true,
            0,
        ),
    ];
    for (method, response, content, keeps_alive, excess) in rows {
        let seen = whole_or_truncated(method, response.as_bytes());
        assert_eq!(String::from_utf8_lossy(&seen.content), *content, "{response:?}");
        assert_eq!((seen.keeps_alive, seen.excess), (*keeps_alive, *excess), "{response:?}");
    }
}

#[test]
fn without_a_length_the_end_of_the_connection_is_the_end() {
    for version in ["1.0", "1.1"] {
        let head = format!("HTTP/{version} 200 OK\r\nConnection: keep-alive\r\n\r\n");
        let response = format!("{head}hello");
        let seen = every_way("GET", response.as_bytes()).unwrap();
        assert_eq!(seen.content, b"hello");
        assert!(!seen.keeps_alive);
        for length in 0..response.len() {
            let cut = read("GET", &[&response.as_bytes()[..length]]);
            match length.checked_sub(head.len()) {
                None => assert_eq!(cut, Err(WireError::Truncated)),
                Some(content) => assert_eq!(cut.unwrap().content, &b"hello"[..content]),
            }
        }
    }
}

#[test]
fn what_two_readers_might_read_differently_is_an_error() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let after_chunk = format!("{chunked}2\r\nab\r\n");
    let rows: Vec<(String, WireError)> = [
        // Lengths.
        ("Content-Length: 5\r\nContent-Length: 6", WireError::LengthsDiffer),
        ("Content-Length: 5, 6", WireError::LengthsDiffer),
        ("Content-Length: -1", WireError::Length),
        ("Content-Length: +5", WireError::Length),
        ("Content-Length: 0x5", WireError::Length),
        ("Content-Length: 5 5", WireError::Length),
        ("Content-Length: 5.0", WireError::Length),
        ("Content-Length:", WireError::Length),
        ("Content-Length: 5,", WireError::Length),
        ("Content-Length: \u{665}", WireError::Length),
        ("Content-Length: 18446744073709551616", WireError::Length),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", WireError::LengthAndCoding),
        ("Transfer-Encoding: chunked\r\ncontent-length: 0", WireError::LengthAndCoding),
        ("Transfer-Encoding: identity\r\ncontent-length: 0", WireError::LengthAndCoding),
        // Codings.
        ("Transfer-Encoding: gzip, chunked", WireError::Coding),
        ("Transfer-Encoding: chunked, chunked", WireError::Coding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", WireError::Coding),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", WireError::Coding),
        ("Transfer-Encoding: identity", WireError::Coding),
        ("Transfer-Encoding: xchunked", WireError::Coding),
        ("Transfer-Encoding: chunked;q=1", WireError::Coding),
        ("Transfer-Encoding:", WireError::Coding),
        // Heads.
        ("Transfer-Encoding : chunked", WireError::Head),
        ("A: b\r\n folded", WireError::Head),
        ("A: b\r\n\tContent-Length: 5", WireError::Head),
        (" A: b", WireError::Head),
        ("A b", WireError::Head),
        (": b", WireError::Head),
        ("A\0: b", WireError::Head),
        ("A: b\0c", WireError::Head),
        ("A: b\rContent-Length: 5", WireError::Head),
        ("A: b\x7f", WireError::Head),
        ("A\u{e9}: b", WireError::Head),
    ]
    .into_iter()
    .map(|(fields, error)| (format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n"), error))
    .chain([
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), WireError::Coding),
        ("HTTP/2 200 OK\r\n\r\n".into(), WireError::NotHttp),
        ("HTTP/1.2 200 OK\r\n\r\n".into(), WireError::NotHttp),
        ("http/1.1 200 OK\r\n\r\n".into(), WireError::NotHttp),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n".into(), WireError::NotHttp),
        ("SSH-2.0-OpenSSH_9.9\r\n".into(), WireError::NotHttp),
        ("\x15\x03\x01\0\x02\x02\x16".into(), WireError::NotHttp),
        ("HTTP/1.1 20 OK\r\n\r\n".into(), WireError::Head),
        ("HTTP/1.1 2000 OK\r\n\r\n".into(), WireError::Head),
        ("HTTP/1.1 -20 OK\r\n\r\n".into(), WireError::Head),
        ("HTTP/1.1 099 OK\r\n\r\n".into(), WireError::Head),
        ("HTTP/1.1 200 O\0K\r\n\r\n".into(), WireError::Head),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n".into(), WireError::Switched),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 X\r\n\r\n".into(), WireError::Switched),
        ("HTTP/1.1 100 Continue\r\n\r\nx".into(), WireError::NotHttp),
        ("HTTP/1.1 100 Continue\r\n\r\n".repeat(MAX_INTERIM as usize + 1), WireError::TooManyInterim),
    ])
    .chain(
        [
            "-5\r\n",
            "+5\r\n",
            " 5\r\n",
            "5 5\r\n",
            "0x5\r\n",
            "\r\n",
            ";a\r\n",
            "5\n",
            "5\r5\r\n",
            "5;a\n",
            "5;a\rb\r\n",
            "5;a\0\r\n",
            "5 a\r\n",
            "g\r\n",
            "11111111111111111\r\n",
            "00000000000000000\r\n",
            "ffffffffffffffff0\r\n",
            "5\u{b}\r\n",
        ]
        .into_iter()
        .map(|size| (format!("{chunked}{size}"), WireError::ChunkSize)),
    )
    .chain(
        ["abc", "ab\n", "ab\rx", "ab\r\r\n", "ab2\r\n"]
            .into_iter()
            .map(|data| (format!("{chunked}2\r\n{data}"), WireError::ChunkEnd)),
    )
    .chain(
        [
            "0\r\nA\r\n",
            "0\r\nA b: c\r\n",
            "0\r\n: c\r\n",
            "0\r\n A: c\r\n",
            "0\r\nA: c\n",
            "0\r\nA: c\r\r",
            "0\r\n\n",
            "0\r\nA: \0\r\n",
            "0\r\n\rx",
        ]
        .into_iter()
        .map(|trailer| (format!("{after_chunk}{trailer}"), WireError::Trailer)),
    )
    .collect();
    for (response, error) in rows {
        assert_eq!(every_way("GET", response.as_bytes()), Err(error), "{response:?}");
        for length in 0..response.len() {
            let cut = read("GET", &[&response.as_bytes()[..length]]).unwrap_err();
            assert!(cut == error || cut == WireError::Truncated, "{cut:?} for {length} of {response:?}");
        }
    }
}

#[test]
fn limits_hold_and_one_less_passes() {
    let field = |length: usize| {
        let start = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: ";
        format!("{start}{}\r\n\r\n", "x".repeat(length - start.len() - 4))
    };
    assert_eq!(field(MAX_HEAD).len(), MAX_HEAD);
    assert!(read("GET", &[field(MAX_HEAD).as_bytes()]).is_ok());
    assert_eq!(read("GET", &[field(MAX_HEAD + 1).as_bytes()]), Err(WireError::HeadTooLong));
    // Without an end in sight, in small pieces: at the limit, and not at the end of the memory.
    let endless = "HTTP/1.1 200 OK\r\nA: ".to_string() + &"x\r\n y".repeat(MAX_HEAD);
    let pieces: Vec<&[u8]> = endless.as_bytes().chunks(1000).collect();
    assert_eq!(read("GET", &pieces), Err(WireError::HeadTooLong));

    let fields = |count: usize| format!("HTTP/1.1 204 No Content\r\n{}\r\n", "a: b\r\n".repeat(count));
    assert_eq!(read("GET", &[fields(MAX_FIELDS).as_bytes()]).unwrap().fields.len(), MAX_FIELDS);
    assert_eq!(read("GET", &[fields(MAX_FIELDS + 1).as_bytes()]), Err(WireError::TooManyFields));
    assert_eq!(read("GET", &[fields(10_000).as_bytes()]), Err(WireError::TooManyFields));

    let interim = |count: u8| "HTTP/1.1 102 P\r\n\r\n".repeat(count.into()) + "HTTP/1.1 204 No Content\r\n\r\n";
    assert!(read("GET", &[interim(MAX_INTERIM).as_bytes()]).is_ok());
    assert_eq!(read("GET", &[interim(MAX_INTERIM + 1).as_bytes()]), Err(WireError::TooManyInterim));

    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let extended = |length: usize| format!("{chunked}1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(length - 1));
    assert!(read("GET", &[extended(MAX_EXTENSIONS).as_bytes()]).is_ok());
    assert_eq!(read("GET", &[extended(MAX_EXTENSIONS + 1).as_bytes()]), Err(WireError::Extensions));
    let many = format!("{chunked}{}0\r\n\r\n", "1;e\r\nx\r\n".repeat(MAX_EXTENSIONS / 2 + 1));
    assert_eq!(read("GET", &[many.as_bytes()]), Err(WireError::Extensions));
    let blank = format!("{chunked}1{}\r\n", " ".repeat(MAX_EXTENSIONS + 1));
    assert_eq!(read("GET", &[blank.as_bytes()]), Err(WireError::Extensions));

    let trailer = |length: usize| format!("{chunked}0\r\nA:{}\r\n\r\n", "x".repeat(length - 6));
    assert!(read("GET", &[trailer(MAX_TRAILERS).as_bytes()]).is_ok());
    assert_eq!(read("GET", &[trailer(MAX_TRAILERS + 1).as_bytes()]), Err(WireError::Trailer));
    let lines = |count: usize| format!("{chunked}0\r\n{}\r\n", "a:b\r\n".repeat(count));
    assert!(read("GET", &[lines(MAX_FIELDS).as_bytes()]).is_ok());
    assert_eq!(read("GET", &[lines(MAX_FIELDS + 1).as_bytes()]), Err(WireError::TooManyFields));
}

#[test]
fn the_largest_sizes_are_counted_without_overflow() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
    ] {
        assert_eq!(every_way("GET", response.as_bytes()), Err(WireError::Truncated));
    }
}

#[test]
fn errors_stay() {
    let mut reader = HeadReader::new();
    assert_eq!(reader.read(b"FTP"), Err(WireError::NotHttp));
    assert_eq!(reader.read(b"HTTP/1.1 200 OK\r\n\r\n"), Err(WireError::NotHttp));

    let head = head("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut body = Body::new("GET", &head).unwrap();
    assert_eq!(body.next(b"x"), Err(WireError::ChunkSize));
    assert_eq!(body.next(b"0\r\n\r\n"), Err(WireError::ChunkSize));
    assert_eq!(body.close(), Err(WireError::ChunkSize));
    let mut body = Body::new("GET", &head).unwrap();
    assert_eq!(body.close(), Err(WireError::Truncated));
    assert_eq!(body.next(b"0\r\n\r\n"), Err(WireError::Truncated));
}

fn head(text: &str) -> Head {
    let (consumed, head) = HeadReader::new().read(text.as_bytes()).unwrap();
    assert_eq!(consumed, text.len());
    head.unwrap()
}

#[test]
fn heads_keep_every_field_and_hide_their_values() {
    let head = head(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer a\r\nX-Empty: \r\nwww-authenticate:\t Basic b \t\r\n\
         Location: /x?sig=s3cret\r\nX-Latin: \u{e9}\r\n\r\n",
    );
    assert_eq!((head.status(), head.len(), head.is_empty()), (401, 5, false));
    assert_eq!(head.all("WWW-AUTHENTICATE").collect::<Vec<_>>(), [&b"Bearer a"[..], b"Basic b"]);
    assert_eq!(head.get("x-empty"), Some(&b""[..]));
    assert_eq!(head.get("x-latin"), Some("\u{e9}".as_bytes()));
    assert_eq!(head.get("x-other"), None);
    assert_eq!(head.fields().map(|(name, _)| name).nth(2), Some("www-authenticate"));
    let debug = format!("{head:?}");
    assert!(debug.contains("Location") && !debug.contains("s3cret"), "{debug}");
}

#[test]
fn the_collector_stops_before_it_buffers() {
    const MIB: usize = 1024 * 1024;
    let of = |text: &str| Body::new("GET", &head(text)).unwrap();
    let large = of("HTTP/1.1 200 OK\r\nContent-Length: 268435456\r\n\r\n");
    assert_eq!(Collector::new(MIB, &large).unwrap_err(), WireError::TooLong);
    let exact = of("HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n");
    assert!(Collector::new(MIB, &exact).is_ok());

    let unknown = of("HTTP/1.1 200 OK\r\n\r\n");
    let mut collector = Collector::new(10, &unknown).unwrap();
    for piece in ["abc", "", "defg", "hij"] {
        collector.push(piece.as_bytes()).unwrap();
    }
    assert_eq!(collector.push(b"k"), Err(WireError::TooLong));
    assert_eq!(collector.content(), b"abcdefghij");
    assert!(format!("{collector:?}").contains("content: ***"), "{collector:?}");
}

#[test]
fn chunks_that_are_written_can_be_read() {
    let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let mut sent = Vec::new();
    for length in [1, 0, 15, 16, 17, 4096] {
        let data = vec![b'x'; length];
        let before = bytes.len();
        chunk_head(length, &mut bytes);
        if length == 0 {
            assert_eq!(bytes.len(), before, "an empty chunk would be the last");
            continue;
        }
        bytes.extend_from_slice(&data);
        bytes.extend_from_slice(CHUNK_END);
        sent.extend_from_slice(&data);
    }
    bytes.extend_from_slice(LAST_CHUNK);
    assert_eq!(read("GET", &[&bytes]).unwrap().content, sent);
}

/// Bytes from a fixed rule, so that a failure comes again.
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    })
}

#[test]
fn no_input_panics_and_no_cut_matters() {
    let parts: &[&str] = &[
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 401 U\r\n",
        "HTTP/1.1 100 C\r\n",
        "\r\n",
        "\n",
        "\r",
        "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close\r\n",
        "A: b\r\n",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        "abc",
        ";x",
        " ",
        "\0",
        "ff",
        "\u{e9}",
    ];
    for seed in 0..4000 {
        let mut noise = noise(seed);
        let mut bytes = Vec::new();
        for _ in 0..noise.next().unwrap() % 12 {
            match noise.next().unwrap() as usize {
                pick @ ..250 => bytes.extend_from_slice(parts[pick % parts.len()].as_bytes()),
                _ => bytes.extend(noise.by_ref().take(3)),
            }
        }
        let _ = every_way("GET", &bytes);
    }
}
