//! One request of a client, or one attempt at it: the fields before it goes on, and those of its answer.

use regauth::Time;

use crate::abi::{self, Fields, Map};
use crate::calls;
use crate::plugin::Action;
use crate::reply::Reply;
use crate::root::{Owner, Progress, Root, authorized};
use crate::settings::Authorization;

/// What is kept of a request until its answer.
#[derive(Debug)]
pub(crate) struct Stream {
    registry: usize,
    method: String,
    url: String,
    attempt: u32,
    /// Its flow, where the cache was not enough.
    pub(crate) job: Option<u32>,
    pub(crate) is_paused: bool,
    /// It was answered here: what comes now is that answer.
    pub(crate) is_over: bool,
}

/// What of a request's fields is looked at.
#[derive(Default)]
struct Head<'a> {
    method: &'a [u8],
    path: &'a [u8],
    authority: &'a [u8],
    has_authorization: bool,
    attempt: u32,
}

impl<'a> Head<'a> {
    fn of(fields: &'a Fields) -> Self {
        let mut head = Self { attempt: 1, ..Self::default() };
        for (name, value) in fields.iter() {
            match name {
                b":method" => head.method = value,
                b":path" => head.path = value,
                b":authority" => head.authority = value,
                b"authorization" => head.has_authorization = true,
                // Written by the router (include_request_attempt_count), over what a client sent.
                b"x-envoy-attempt-count" => {
                    head.attempt = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(1);
                }
                _ => {}
            }
        }
        head
    }

    /// Method and path as text, where this is a request to the registry API.
    fn api(&self) -> Option<(&'a str, &'a str)> {
        let rest = self.path.strip_prefix(b"/v2")?;
        if !matches!(rest.first(), None | Some(b'/' | b'?')) {
            return None;
        }
        Some((std::str::from_utf8(self.method).ok()?, std::str::from_utf8(self.path).ok()?))
    }
}

impl Root {
    /// The fields of a request. `is_whole`: it has no body.
    pub(crate) fn request(&mut self, id: u32, is_whole: bool) -> Action {
        let Ok(fields) = abi::fields(Map::Request) else {
            return self.stop(id, &Reply::of_text(502, "the proxy does not give the request's fields.".into()));
        };
        let head = Head::of(&fields);
        let Some((place, registry)) = self.settings.registry(head.authority) else { return Action::Continue };
        let Some((method, path)) = head.api() else {
            return match (head.has_authorization, self.settings.authorization) {
                (true, Authorization::Strip) => self.go(id, None),
                _ => Action::Continue,
            };
        };
        let mut url = String::with_capacity(registry.base.len() + path.len());
        url.push_str(&registry.base);
        url.push_str(path);
        let now = abi::now();
        let left = if self.parked == 0 { None } else { self.unpark(now, id, method, &url) };
        if head.has_authorization && left.is_none() && self.settings.authorization == Authorization::Pass {
            return Action::Continue;
        }
        let (job, warm) = match left {
            Some(job) => (Some(job), None),
            None => (None, self.warm(now, place, method, &url)),
        };
        let stream = Stream {
            registry: place,
            method: method.into(),
            url,
            attempt: head.attempt,
            job,
            is_paused: false,
            is_over: false,
        };
        let url = stream.url.clone();
        self.streams.insert(id, stream);
        match warm {
            Some(Ok(())) => Action::Continue,
            Some(Err(reply)) => self.stop(id, &reply),
            None => {
                let method = method.to_string();
                let once = !is_whole || self.settings.placement == crate::settings::Placement::Downstream;
                self.cold(now, id, place, &method, &url, once, head.has_authorization)
            }
        }
    }

    /// The cached token, where there is one and nothing needs to be asked.
    fn warm(&mut self, now: Time, place: usize, method: &str, url: &str) -> Option<Result<(), Reply>> {
        let agent = &self.settings.registries.get(place)?.agent;
        let done = agent.authorize_with(now, method, url, |value| authorized(Some(value)))?;
        self.stats.add(crate::stats::Count::Hit);
        Some(done)
    }

    #[allow(clippy::too_many_arguments)] // what is known of the request
    fn cold(&mut self, now: Time, id: u32, place: usize, method: &str, url: &str, once: bool, strip: bool) -> Action {
        let job = match self.streams.get(id).and_then(|stream| stream.job) {
            Some(job) => job,
            None => match self.begin(now, place, method, url, Owner::Stream(id), once) {
                Ok(job) => job,
                Err(reply) => return self.stop(id, &reply),
            },
        };
        if let Some(stream) = self.streams.get_mut(id) {
            stream.job = Some(job);
        }
        let progress = self.advance(now, job);
        let action = match progress {
            Progress::Go(None) if !strip => Action::Continue,
            Progress::Go(value) => self.go(id, value.as_deref()),
            Progress::Pending => {
                if let Some(stream) = self.streams.get_mut(id) {
                    stream.is_paused = true;
                }
                Action::Pause
            }
            Progress::Over(reply) => {
                self.drop_job(job);
                self.stop(id, &reply)
            }
        };
        self.settle(now);
        action
    }

    fn go(&mut self, id: u32, authorization: Option<&[u8]>) -> Action {
        // The context may be the root's, after a request of the plugin's own.
        match abi::enter(id).map_err(|_| Reply::late()).and_then(|()| authorized(authorization)) {
            Ok(()) => Action::Continue,
            Err(reply) => self.stop(id, &reply),
        }
    }

    fn stop(&mut self, id: u32, reply: &Reply) -> Action {
        self.refuse(id, reply);
        Action::Pause
    }

    /// The fields of an answer.
    pub(crate) fn response(&mut self, id: u32) -> Action {
        let Some(stream) = self.streams.get(id).filter(|stream| !stream.is_over) else { return Action::Continue };
        let Some(status) = abi::field(Map::Response, ":status").ok().and_then(|value| calls::status(&value)) else {
            return Action::Continue;
        };
        let reads = matches!(stream.method.as_str(), "GET" | "HEAD");
        if matches!(status, 204 | 300..400) || (!reads && status < 300) {
            self.keep_here(stream.registry);
        }
        if status == 401 {
            return self.challenge(id);
        }
        if let Some(job) = self.streams.get_mut(id).and_then(|stream| stream.job.take()) {
            self.drop_job(job);
            self.settle(abi::now());
        }
        Action::Continue
    }

    /// A 401: it goes to the router, for another attempt, or becomes an error of this proxy. No challenge ever leaves.
    fn challenge(&mut self, id: u32) -> Action {
        let now = abi::now();
        let fields = abi::fields(Map::Response).unwrap_or_default();
        let Some(stream) = self.streams.get_mut(id) else { return Action::Continue };
        let (registry, attempt, known) = (stream.registry, stream.attempt, stream.job.take());
        let (method, url) = (stream.method.clone(), stream.url.clone());
        // After a token from the cache there is no flow yet: this one finds the same token there.
        let job = match known {
            Some(job) => job,
            None => match self.begin(now, registry, &method, &url, Owner::Stream(id), false) {
                Ok(job) => job,
                Err(reply) => return self.stop(id, &reply),
            },
        };
        self.challenged(now, job, &fields);
        let action = match self.advance(now, job) {
            Progress::Over(reply) => {
                self.drop_job(job);
                self.stop(id, &reply)
            }
            _ if self.can_repeat(attempt) => {
                self.park(now, job);
                let removed = abi::enter(id).and_then(|()| abi::remove_field(Map::Response, "www-authenticate"));
                if removed.is_err() { self.stop(id, &Reply::again()) } else { Action::Continue }
            }
            // What was begun for it goes on, and the next request has it.
            _ => {
                self.park(now, job);
                self.stop(id, &Reply::again())
            }
        };
        self.settle(now);
        action
    }

    /// Makes a `Location` at the registry one at this proxy: a path.
    fn keep_here(&self, place: usize) {
        let Ok(location) = abi::field(Map::Response, "location") else { return };
        let Some(registry) = self.settings.registries.get(place) else { return };
        let after = |scheme: &[u8]| {
            let (start, rest) = location.split_at_checked(scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then_some(rest)
        };
        let Some(rest) = after(b"https://").or_else(|| after(b"http://")) else { return };
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if registry.is_at(authority) && target.starts_with(b"/") {
            // A host that does not take it leaves what the registry wrote.
            _ = abi::set_field(Map::Response, "location", target);
        }
    }
}
