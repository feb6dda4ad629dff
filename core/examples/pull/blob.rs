//! One blob: streamed to its place, checked, and gone on with where a connection broke.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use regauth::wire::{Exchange, Head};
use regauth::{Endpoint, Hop, Referrer};

use crate::digest::Hasher;
use crate::failure::{Exit, Failure};
use crate::fetch::{Refused, header, keep_some, refusal};
use crate::host::{End, Host, Sink};
use crate::layout::{Layout, Part};
use crate::manifest::Descriptor;
use crate::progress::Bar;
use crate::table::Row;

/// Attempts in a row that bring nearly nothing new, after which a broken download is given up.
const FRUITLESS: u32 = 3;
/// What an attempt has to bring at least, in bytes.
const FRUIT: u64 = 64 * 1024;

/// Fetches one blob of an image from one endpoint. `stop`: another one has failed.
pub(crate) fn fetch(
    host: &Host,
    pull: u32,
    endpoint: &Endpoint,
    blob: &Descriptor,
    layout: Option<&Layout>,
    bar: &Bar,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let part = layout.map(|layout| layout.blob(&blob.digest)).transpose()?;
    let mut sink = Content {
        blob,
        part,
        hasher: blob.digest.hasher(),
        received: 0,
        status: 0,
        refused: Refused::default(),
        unfit: false,
        bar,
        stop,
    };
    let name = format!("blobs/{}", blob.digest);
    // A foreign layer is elsewhere: its URLs come after the registry, and get no grant.
    let mut urls = blob.urls.iter();
    let mut foreign = None;
    let mut fruitless = 0;
    loop {
        let flow = match foreign {
            None => endpoint.request(&host.agent, "GET", &name),
            Some(url) => host.agent.referred(&Referrer::registry(endpoint.origin.clone()), Hop::Layer, "GET", url),
        };
        let mut exchange = Exchange::new(&host.agent, flow.map_err(|error| Failure::of(&error, None))?);
        let before = sink.received;
        if before > 0 {
            header(&mut exchange, "Range", &format!("bytes={before}-"))?;
        }
        match host.run(pull, exchange, &mut sink)? {
            // Some servers end the connection in a way that looks like a break.
            End::Broken(_) if sink.received == blob.size && before < blob.size => return sink.finish(None),
            End::Broken(failure) if sink.received == 0 => return Err(failure),
            End::Broken(failure) => {
                fruitless = if sink.received >= before + FRUIT { 0 } else { fruitless + 1 };
                if fruitless == FRUITLESS {
                    let what = format!("{}; {} of {} bytes came", failure.what, sink.received, blob.size);
                    return Err(Failure { what, ..failure });
                }
                bar.say(&format!("broke off at {} of {} bytes, goes on from there", sink.received, blob.size));
                thread::sleep(Duration::from_millis(200 << fruitless));
            }
            End::Whole(row) => match sink.status {
                200 | 206 if !sink.unfit => return sink.finish(row.as_deref()),
                // It cannot go on from there: once more from the start.
                206 | 416 if before > 0 && fruitless < FRUITLESS => {
                    fruitless += 1;
                    sink.restart()?;
                }
                404 if !blob.urls.is_empty() => match urls.next() {
                    Some(next) => foreign = Some(next),
                    None => return Err(sink.refusal(row.as_deref())),
                },
                _ => return Err(sink.refusal(row.as_deref())),
            },
        }
    }
}

struct Content<'a> {
    blob: &'a Descriptor,
    part: Option<Part>,
    hasher: Hasher,
    received: u64,
    status: u16,
    refused: Refused,
    /// A part came that is not the one that was asked for.
    unfit: bool,
    bar: &'a Bar,
    stop: &'a AtomicBool,
}

impl Content<'_> {
    fn restart(&mut self) -> Result<(), Failure> {
        self.received = 0;
        self.hasher = self.blob.digest.hasher();
        self.part.as_mut().map_or(Ok(()), Part::restart)
    }

    fn refusal(&self, row: Option<&Row>) -> Failure {
        refusal(&format!("blob {}", self.blob.digest.short()), &self.refused, row)
    }

    fn finish(self, row: Option<&Row>) -> Result<(), Failure> {
        let place = row.map(|row| format!(" ({} at {})", row.hop, row.origin)).unwrap_or_default();
        if self.received < self.blob.size {
            let (name, have, all) = (self.blob.digest.short(), self.received, self.blob.size);
            return Err(mismatch(format!("blob {name} has {have} of {all} bytes{place}")));
        }
        let found = self.hasher.finish();
        if found != self.blob.digest {
            let (want, have) = (self.blob.digest.short(), found.short());
            return Err(mismatch(format!("blob {want} has the digest {have}{place}")));
        }
        if let Some(part) = self.part {
            part.finish()?;
        }
        self.bar.done();
        Ok(())
    }
}

pub(crate) fn mismatch(what: String) -> Failure {
    Failure::new(Exit::Digest, what, "Push the image again, or check the storage behind the registry.")
}

impl Sink for Content<'_> {
    fn head(&mut self, head: &Head) -> Result<(), Failure> {
        self.status = head.status();
        let kind = head.get("content-type").unwrap_or_default();
        self.refused.content_type = String::from_utf8_lossy(kind).into_owned();
        self.refused.status = self.status;
        self.refused.body.clear();
        let range = head.get("content-range").unwrap_or_default();
        self.unfit = self.status == 206 && !range.starts_with(format!("bytes {}-", self.received).as_bytes());
        // The server does not know ranges: it begins at the start.
        if self.status == 200 && self.received > 0 { self.restart() } else { Ok(()) }
    }

    fn body(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Failure::new(Exit::Network, "another blob has failed", "See there."));
        }
        if !matches!(self.status, 200 | 206) || self.unfit {
            keep_some(&mut self.refused.body, bytes);
            return Ok(());
        }
        let received = self.received + bytes.len() as u64;
        if received > self.blob.size {
            let (name, size) = (self.blob.digest.short(), self.blob.size);
            return Err(mismatch(format!("blob {name} has more than its {size} bytes")));
        }
        self.hasher.update(bytes);
        if let Some(part) = &mut self.part {
            part.write(bytes)?;
        }
        self.received = received;
        self.bar.at(received);
        Ok(())
    }
}
