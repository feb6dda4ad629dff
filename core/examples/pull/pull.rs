//! A pull: manifest, perhaps out of an index, then config and layers in parallel.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use regauth::{Capability, Endpoint, Reference};

use crate::blob::{self, mismatch};
use crate::digest::Digest;
use crate::failure::{Exit, Failure};
use crate::fetch;
use crate::host::Host;
use crate::layout::Layout;
use crate::manifest::{self, ACCEPT, Descriptor, Document, MAX_MANIFEST};
use crate::places::Places;
use crate::platform::Platform;
use crate::progress::Progress;

/// Blobs at one time; containerd's and Docker's default.
const PARALLEL: usize = 3;

/// What is pulled, and from where.
pub(crate) struct Image<'a> {
    pub(crate) places: Places,
    pub(crate) name: &'a Reference,
    pub(crate) platform: Platform,
}

/// What was pulled.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) manifest: Descriptor,
    pub(crate) blobs: usize,
    pub(crate) bytes: u64,
}

/// Pulls an image, into a layout if there is one. `pull` is the number of the pull, for the table.
pub(crate) fn pull(
    host: &Host,
    pull: u32,
    image: &Image<'_>,
    layout: Option<&Layout>,
    progress: &Progress,
) -> Result<Pulled, Failure> {
    let digest = image.name.digest().and_then(Digest::parse);
    let fetch = |reference: &str, digest: Option<&Digest>| document(host, pull, image, reference, digest, progress);
    let (bytes, mut found, document) = fetch(image.name.reference(), digest.as_ref())?;
    let (bytes, blobs) = match document {
        Document::Image(blobs) => (bytes, blobs),
        Document::Index(list) => {
            let chosen = manifest::choose(&list, &image.platform)
                .map_err(|failure| Failure { what: format!("{} ({})", failure.what, image.name), ..failure })?;
            let (bytes, manifest, document) = fetch(&chosen.digest.to_string(), Some(&chosen.digest))?;
            found = Descriptor { platform: chosen.platform, ..manifest };
            match document {
                Document::Image(blobs) => (bytes, blobs),
                Document::Index(_) => {
                    let what = "the index names another index for this platform";
                    return Err(Failure::new(Exit::Refused, what, "Name the image by its digest."));
                }
            }
        }
    };
    if let Some(layout) = layout {
        layout.put(&found.digest, &bytes)?;
    }
    pull_blobs(host, pull, image, &blobs, layout, progress)?;
    Ok(Pulled { manifest: found, blobs: blobs.len(), bytes: blobs.iter().map(|blob| blob.size).sum() })
}

/// What a manifest comes to: its bytes, what it is, what it names.
type Found = (Vec<u8>, Descriptor, Document);

/// A manifest or an index, from the first endpoint that has it.
fn document(
    host: &Host,
    pull: u32,
    image: &Image<'_>,
    reference: &str,
    digest: Option<&Digest>,
    progress: &Progress,
) -> Result<Found, Failure> {
    let want = if digest.is_some() { Capability::Pull } else { Capability::Resolve };
    image.places.first(want, progress, &AtomicBool::new(false), |endpoint| {
        if endpoint.capabilities.contains(&Capability::Pull) {
            return document_at(host, pull, image.name, endpoint, reference, digest);
        }
        let digest = resolve(host, pull, image.name, endpoint, reference)?;
        document(host, pull, image, &digest.to_string(), Some(&digest), progress)
    })
}

/// Which digest a tag stands for.
fn resolve(host: &Host, pull: u32, name: &Reference, endpoint: &Endpoint, tag: &str) -> Result<Digest, Failure> {
    let answer = request(host, pull, name, endpoint, "HEAD", tag)?;
    answer.digest.as_deref().and_then(Digest::parse).ok_or_else(|| {
        let what = format!("the answer for {name} names no digest (registry at {})", endpoint.origin);
        Failure::new(Exit::Refused, what, "Give the endpoint the capability pull, or name the image by its digest.")
    })
}

fn request(
    host: &Host,
    pull: u32,
    name: &Reference,
    endpoint: &Endpoint,
    method: &str,
    reference: &str,
) -> Result<fetch::Document, Failure> {
    let flow = endpoint.request(&host.agent, method, &format!("manifests/{reference}"));
    let flow = flow.map_err(|error| Failure::of(&error, None))?;
    fetch::document(host, pull, flow, ACCEPT, &format!("the manifest of {name}"), MAX_MANIFEST)
}

/// A manifest or an index, checked by the digest that it was asked for by, or by the one that the registry says it has.
fn document_at(
    host: &Host,
    pull: u32,
    name: &Reference,
    endpoint: &Endpoint,
    reference: &str,
    digest: Option<&Digest>,
) -> Result<Found, Failure> {
    let answer = request(host, pull, name, endpoint, "GET", reference)?;
    let said = answer.digest.as_deref().and_then(Digest::parse);
    let place = format!(" (registry at {})", endpoint.origin);
    for want in [digest, said.as_ref()].into_iter().flatten() {
        if !want.is_of(&answer.bytes) {
            return Err(mismatch(format!("the manifest is not what the digest {} says{place}", want.short())));
        }
    }
    let (media_type, document) = manifest::read(&answer.bytes, &answer.content_type)
        .map_err(|failure| Failure { what: format!("{}{place}", failure.what), ..failure })?;
    let own = digest.cloned().or(said).unwrap_or_else(|| Digest::of(&answer.bytes));
    let size = answer.bytes.len() as u64;
    let found = Descriptor { media_type, digest: own, size, urls: Vec::new(), platform: None };
    Ok((answer.bytes, found, document))
}

fn pull_blobs(
    host: &Host,
    pull: u32,
    image: &Image<'_>,
    blobs: &[Descriptor],
    layout: Option<&Layout>,
    progress: &Progress,
) -> Result<(), Failure> {
    let (next, stop, failed) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(None));
    let work = || {
        while let Some(blob) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let bar = progress.bar(&blob.digest.short(), blob.size);
            let fetch = |endpoint: &Endpoint| blob::fetch(host, pull, endpoint, blob, layout, &bar, &stop);
            if let Err(failure) = image.places.first(Capability::Pull, progress, &stop, fetch) {
                let mut first = failed.lock().unwrap_or_else(PoisonError::into_inner);
                // The others fail because of this one.
                if !stop.swap(true, Ordering::Relaxed) {
                    *first = Some(failure);
                }
                return;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..PARALLEL.min(blobs.len()) {
            scope.spawn(work);
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}
