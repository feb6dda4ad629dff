//! The agent, and what it hands out.

use regauth::tls::ProfileId;
use regauth::{Agent as Core, Capability, Origin, Reference, Referrer as CoreReferrer, Secret};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use crate::config::Config;
use crate::error::Failed;
use crate::flow::{Flow, time};
use crate::names;
use crate::text::{shown, string};

/// How many values the package keeps as strings, so that a warm request makes none.
const KEPT: usize = 4;
/// Beside the place: the value there is new.
const NEW: u32 = 0x100;

/// Room for the longest method and URL: the core takes URLs of 8,192 bytes.
const LINE: usize = 8192 + 64;

/// An agent.
#[wasm_bindgen]
pub struct Agent {
    pub(crate) core: Core,
    /// Where the package writes method, space and URL of a warm request: cheaper than a string that is handed over.
    line: Box<[u8]>,
    /// The Authorization values that the package has as strings.
    kept: [Secret; KEPT],
    next: usize,
}

/// Whether these are equal, 16 bytes at a time: the `memcmp` of this target goes one by one, and a token has a thousand.
fn same(one: &[u8], other: &[u8]) -> bool {
    let ((words, rest), (others, end)) = (one.as_chunks::<16>(), other.as_chunks::<16>());
    let equal = |(a, b): (&[u8; 16], &[u8; 16])| u128::from_ne_bytes(*a) == u128::from_ne_bytes(*b);
    one.len() == other.len() && words.iter().zip(others).all(equal) && rest == end
}

#[wasm_bindgen]
impl Agent {
    /// An agent with this configuration.
    #[wasm_bindgen(constructor)]
    pub fn new(config: &Config) -> Result<Self, Failed> {
        let core = Core::new(config.core.clone())?;
        Ok(Self { core, line: vec![0; LINE].into(), kept: std::array::from_fn(|_| Secret::from("")), next: 0 })
    }

    /// Replaces the configuration.
    pub fn replace(&self, config: &Config) -> Result<(), Failed> {
        Ok(self.core.replace(config.core.clone())?)
    }

    /// A flow for one request.
    pub fn request(&self, method: &str, url: &str) -> Result<Flow, Failed> {
        Ok(Flow::new(self.core.request(method, url)?))
    }

    /// A flow for a URL that a server named.
    pub fn referred(&self, by: &Referrer, hop: &str, method: &str, url: &str) -> Result<Flow, Failed> {
        let hop =
            names::hop(hop).ok_or_else(|| Failed::input("unknown hop", "Give registry, upload, layer or redirect."))?;
        Ok(Flow::new(self.core.referred(&by.core, hop, method, url)?))
    }

    /// Where that is in the module's memory.
    #[wasm_bindgen(getter)]
    pub fn line(&self) -> usize {
        self.line.as_ptr().addr()
    }

    /// How long it may be.
    #[wasm_bindgen(getter)]
    pub fn room(&self) -> usize {
        self.line.len()
    }

    /// The warm path, for a method of `method` bytes and a URL of `url` bytes after it. 0: make a flow. Else one more than
    /// the place of the value among the last ones, and `NEW` where it was not there: then `authorization` gives it.
    pub fn authorize(&mut self, now: f64, method: usize, url: usize) -> u32 {
        let line = self.line.get(..method.saturating_add(url)).and_then(|line| std::str::from_utf8(line).ok());
        let Some((method, url)) = line.and_then(|line| line.split_at_checked(method)) else { return 0 };
        let kept = &self.kept;
        let found = self.core.authorize_with(time(now), method, url, |value| {
            kept.iter().position(|known| same(known.expose(), value)).ok_or_else(|| Secret::from(value))
        });
        let (place, new) = match found {
            None => return 0,
            Some(Ok(place)) => (place, 0),
            Some(Err(value)) => {
                let place = self.next;
                self.next = (place + 1) % KEPT;
                if let Some(slot) = self.kept.get_mut(place) {
                    *slot = value;
                }
                (place, NEW)
            }
        };
        u32::try_from(place + 1).unwrap_or(0) | new
    }

    /// The value at a place, counted from 0.
    pub fn authorization(&self, place: usize) -> Option<String> {
        self.kept.get(place).map(shown)
    }

    /// A flow that renews a token.
    pub fn due(&self, now: f64) -> Option<Flow> {
        self.core.due(time(now)).map(Flow::new)
    }

    /// What a profile is made of, for hosts with a TLS of their own: whether the server's certificate is not checked, then
    /// the labels of its identities.
    pub fn profile(&self, id: u32) -> Option<Vec<JsValue>> {
        let profile = self.core.profile(ProfileId(id))?;
        let settings = profile.settings();
        let labels = settings.identities.iter().map(|identity| identity.label().into());
        Some(std::iter::once(settings.skip_verify.into()).chain(labels).collect())
    }

    /// Where to ask for an image. For each endpoint: origin, root, repository, ns or undefined, whether it is a mirror, the
    /// profile, provenance or undefined, what it can be asked for.
    pub fn endpoints(&self, image: &str, want: &str) -> Result<Vec<JsValue>, Failed> {
        let image = Reference::parse(image)
            .map_err(|flaw| Failed::input(&flaw.to_string(), "Give an image name such as reg.example/app:1."))?;
        let want = names::capability(want)
            .ok_or_else(|| Failed::input("unknown capability", "Give pull, resolve, push or referrers."))?;
        let mut flat = Vec::new();
        for endpoint in self.core.endpoints(&image, want) {
            let can: Vec<&str> = endpoint.capabilities.iter().map(|one| Capability::as_str(*one)).collect();
            flat.extend([
                endpoint.origin.to_string().into(),
                endpoint.root.into(),
                endpoint.repository.into(),
                endpoint.ns.into(),
                endpoint.mirror.into(),
                endpoint.profile.0.into(),
                endpoint.provenance.into(),
                can.join(",").into(),
            ]);
        }
        Ok(flat)
    }
}

/// Where a URL came from.
#[wasm_bindgen]
pub struct Referrer {
    pub(crate) core: CoreReferrer,
}

#[wasm_bindgen]
impl Referrer {
    /// A registry.
    pub fn registry(origin: &str) -> Result<Self, Failed> {
        Ok(Self { core: CoreReferrer::registry(Origin::parse(origin)?) })
    }
}

/// The parts of an image name: origin, domain, repository, tag or undefined, digest or undefined.
#[wasm_bindgen]
pub fn reference(name: &str) -> Result<Vec<JsValue>, Failed> {
    let name = Reference::parse(name)
        .map_err(|flaw| Failed::input(&flaw.to_string(), "Give an image name such as reg.example/app:1."))?;
    Ok(vec![
        name.origin().to_string().into(),
        name.domain().into(),
        name.repository().into(),
        name.tag().map(str::to_string).into(),
        name.digest().map(str::to_string).into(),
    ])
}

/// An origin in normal form.
#[wasm_bindgen]
pub fn origin(url: &str) -> Result<String, Failed> {
    Ok(Origin::parse(url)?.to_string())
}

/// The scopes that a request needs; undefined where its path says nothing.
#[wasm_bindgen]
pub fn scopes(method: &str, target: &str) -> Option<Vec<String>> {
    Some(regauth::scope::needed(method, target)?.iter().map(|scope| string(scope.as_str().as_bytes())).collect())
}
