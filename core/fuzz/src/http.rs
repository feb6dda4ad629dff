//! Responses of HTTP/1.1: however the bytes are cut, they are the same response, or the same error; content is no more
//! than what came; one that knows its end is truncated before it.

use regauth::wire::{Body, Collector, Head, HeadReader, MAX_FIELDS, MAX_HEAD, Part, WireError};

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    fields: Vec<(String, Vec<u8>)>,
    content: Vec<u8>,
    keeps_alive: bool,
    excess: usize,
    /// It ended before the connection did.
    ended: bool,
}

/// A byte for the method, two for cuts, and what comes from the server.
pub fn run(data: &[u8]) {
    let Some(([method, first, second], stream)) = data.split_first_chunk::<3>() else { return };
    let method = ["GET", "HEAD", "POST", "PUT"][usize::from(*method) % 4];
    let whole = read(method, &[stream]);
    let [first, second] = [first, second].map(|cut| usize::from(*cut).min(stream.len()));
    let (low, high) = (first.min(second), first.max(second));
    assert_eq!(read(method, &[&stream[..low], &stream[low..high], &stream[high..]]), whole);
    if stream.len() <= 2000 {
        assert_eq!(read(method, &stream.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
    }
    let Ok(seen) = whole else { return };
    assert!((200..1000).contains(&seen.status) && seen.content.len() + seen.excess <= stream.len());
    assert!(seen.fields.len() <= MAX_FIELDS && stream.len() - seen.excess - seen.content.len() >= 12);
    for (name, value) in &seen.fields {
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'), "{name:?}");
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "{name}");
    }
    if seen.ended {
        let shorter = &stream[..stream.len() - seen.excess - 1];
        assert_eq!(read(method, &[shorter]), Err(WireError::Truncated), "one byte less");
    }
}

fn read(method: &str, pieces: &[&[u8]]) -> Result<Seen, WireError> {
    let mut reader = HeadReader::new();
    let mut waiting: Vec<u8> = Vec::new();
    let mut at = None::<(Head, Body, Result<Collector, WireError>)>;
    let mut content = Vec::new();
    let mut ended = false;
    for piece in pieces {
        waiting.extend_from_slice(piece);
        if at.is_none() {
            let found = reader.read(&waiting);
            if let Err(error) = found {
                assert_eq!(reader.read(&waiting), Err(error), "an error stays");
            }
            let (consumed, head) = found?;
            waiting.drain(..consumed);
            assert!(head.is_some() || waiting.len() <= MAX_HEAD);
            let Some(head) = head else { continue };
            let body = Body::new(method, &head)?;
            let collector = Collector::new(100, &body);
            at = Some((head, body, collector));
        }
        let Some((_, body, collector)) = &mut at else { continue };
        while !ended {
            let found = body.next(&waiting)?;
            match found.part {
                Part::Data(range) => {
                    assert!(!range.is_empty() && range.end == found.consumed);
                    content.extend_from_slice(&waiting[range.clone()]);
                    if let Ok(limited) = collector
                        && let Err(error) = limited.push(&waiting[range])
                    {
                        *collector = Err(error);
                    }
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
    let Some((head, mut body, collector)) = at else { return Err(WireError::Truncated) };
    body.close()?;
    match collector {
        Ok(collector) => assert_eq!(collector.content(), content),
        Err(error) => assert!(error == WireError::TooLong && (content.len() > 100 || body.left() != Some(0) || ended)),
    }
    Ok(Seen {
        status: head.status(),
        fields: head.fields().map(|(name, value)| (name.into(), value.into())).collect(),
        content,
        keeps_alive: body.keeps_alive(),
        excess: waiting.len(),
        ended,
    })
}
