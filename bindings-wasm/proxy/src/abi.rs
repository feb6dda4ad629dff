//! The proxy-wasm ABI 0.2.1, as much of it as is used: the one file with `unsafe`.
//!
//! Every status of the host is a `Result`, texts are bytes, and what the host returns is taken only where it wrote into
//! memory that it was given. Bodies have no callback, so that the module is not entered for each of their chunks.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ptr::null_mut;

use regauth::{Headers, Time};

use crate::plugin::{self, Plugin};

/// A status of the host that is not `Ok`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(u32);

impl Status {
    /// Somebody else wrote in between.
    pub(crate) const CAS_MISMATCH: Self = Self(8);
}

pub(crate) type Result<T> = std::result::Result<T, Status>;

const fn check(status: u32) -> Result<()> {
    if status == 0 { Ok(()) } else { Err(Status(status)) }
}

/// Which header fields.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Map {
    Request = 0,
    Response = 2,
    CallResponse = 6,
}

/// Which bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Buffer {
    CallResponseBody = 4,
    Configuration = 7,
}

/// How loud a line of the log is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Level {
    Warn = 3,
    Error = 4,
}

#[cfg_attr(target_family = "wasm", link(wasm_import_module = "env"))]
unsafe extern "C" {
    fn proxy_log(level: u32, text: *const u8, size: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(kind: u32, start: usize, length: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout: u32,
        call: *mut u32,
    ) -> u32;
    fn proxy_continue_stream(direction: u32) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc: i32,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(key: *const u8, key_size: usize, value: *const u8, value_size: usize, cas: u32) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, metric: *mut u32) -> u32;
    fn proxy_increment_metric(metric: u32, by: i64) -> u32;
}

thread_local! {
    static PLUGIN: RefCell<Plugin> = RefCell::default();
    /// Memory that the host asked for and that was not taken yet.
    static LENT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Runs `call` with two places for the host to return bytes in, and takes these bytes. What the host did not write into
/// memory from [`proxy_on_memory_allocate`] is not touched.
fn returned(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>> {
    let (mut data, mut size) = (null_mut(), 0);
    let status = check(call(&raw mut data, &raw mut size));
    LENT.with(|lent| {
        let Ok(mut lent) = lent.try_borrow_mut() else { return Err(Status(6)) };
        let found = lent.iter().position(|memory| memory.as_ptr() == data && memory.len() == size);
        let taken = found.map(|place| lent.swap_remove(place));
        // Whatever else was asked for during this call serves nobody.
        lent.clear();
        status?;
        if size == 0 { Ok(Vec::new()) } else { taken.ok_or(Status(6)) }
    })
}

/// Writes a line into the proxy's log.
pub(crate) fn log(level: Level, text: &str) {
    // SAFETY: pointer and size are those of one slice, which the host only reads. So it is in all calls below.
    unsafe { proxy_log(level as u32, text.as_ptr(), text.len()) };
}

/// The proxy's clock. A host without one stays at 0: then no token is ever late, and a 401 says so.
pub(crate) fn now() -> Time {
    let mut nanoseconds = 0;
    // SAFETY: one place to write in, which lives until the call returns.
    unsafe { proxy_get_current_time_nanoseconds(&raw mut nanoseconds) };
    Time(nanoseconds / 1_000_000)
}

pub(crate) fn tick_every(milliseconds: u32) -> Result<()> {
    // SAFETY: no pointer.
    check(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

pub(crate) fn bytes(buffer: Buffer, at_most: usize) -> Result<Vec<u8>> {
    // SAFETY: `returned` gives two places to write in.
    returned(|data, size| unsafe { proxy_get_buffer_bytes(buffer as u32, 0, at_most, data, size) })
}

pub(crate) fn fields(map: Map) -> Result<Fields> {
    // SAFETY: as in `bytes`.
    returned(|data, size| unsafe { proxy_get_header_map_pairs(map as u32, data, size) }).map(Fields)
}

pub(crate) fn field(map: Map, name: &str) -> Result<Vec<u8>> {
    // SAFETY: as in `bytes` and `log`.
    returned(|data, size| unsafe { proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, size) })
}

pub(crate) fn set_field(map: Map, name: &str, value: &[u8]) -> Result<()> {
    // SAFETY: as in `log`.
    check(unsafe { proxy_replace_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

pub(crate) fn remove_field(map: Map, name: &str) -> Result<()> {
    // SAFETY: as in `log`.
    check(unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) })
}

/// Begins a request to a cluster; its answer comes to the context that is the effective one now.
pub(crate) fn call(cluster: &str, fields: &[(&str, &[u8])], body: &[u8], milliseconds: u32) -> Result<u32> {
    let (fields, trailers, mut id) = (encoded(fields), encoded(&[]), 0);
    // SAFETY: as in `log` and `now`.
    check(unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            fields.as_ptr(),
            fields.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            milliseconds,
            &raw mut id,
        )
    })?;
    Ok(id)
}

/// Lets the paused request of the effective context go on.
pub(crate) fn resume() -> Result<()> {
    // SAFETY: no pointer.
    check(unsafe { proxy_continue_stream(0) })
}

/// Answers the stream of the effective context.
pub(crate) fn reply(status: u16, details: &str, fields: &[(&str, &[u8])], body: &[u8]) -> Result<()> {
    let fields = encoded(fields);
    // SAFETY: as in `log`.
    check(unsafe {
        proxy_send_local_response(
            status.into(),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            fields.as_ptr(),
            fields.len(),
            -1,
        )
    })
}

/// A value that all workers share, and the number of its version.
pub(crate) fn shared(key: &[u8]) -> Result<(Vec<u8>, u32)> {
    let mut cas = 0;
    let version = &raw mut cas;
    // SAFETY: as in `bytes` and `now`.
    let value = returned(|data, size| unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, version) })?;
    Ok((value, cas))
}

/// Writes it, where it is still the version `cas`; 0: whatever it is.
pub(crate) fn share(key: &[u8], value: &[u8], cas: u32) -> Result<()> {
    // SAFETY: as in `log`.
    check(unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) })
}

/// Makes a context the one that the calls above are about.
pub(crate) fn enter(context: u32) -> Result<()> {
    // SAFETY: no pointer.
    check(unsafe { proxy_set_effective_context(context) })
}

/// Defines a counter.
pub(crate) fn counter(name: &str) -> Result<u32> {
    let mut id = 0;
    // SAFETY: as in `log` and `now`.
    check(unsafe { proxy_define_metric(0, name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

pub(crate) fn count(counter: u32, by: u32) -> Result<()> {
    // SAFETY: no pointer.
    check(unsafe { proxy_increment_metric(counter, by.into()) })
}

/// Header fields in the host's form: their number, the sizes of all, then each name and value with a zero after it.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<u8>);

impl Fields {
    /// Names and values; what is not in the host's form ends the list.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let number = |at: usize| {
            let bytes = self.0.get(at..at.checked_add(4)?)?;
            usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
        };
        let count = number(0).unwrap_or(0);
        let mut at = count.checked_mul(8).and_then(|sizes| sizes.checked_add(4));
        (0..count).map_while(move |place| {
            let start = at?;
            let name_end = start.checked_add(number(4 + place * 8)?)?;
            let value_end = name_end.checked_add(1)?.checked_add(number(8 + place * 8)?)?;
            at = value_end.checked_add(1);
            Some((self.0.get(start..name_end)?, self.0.get(name_end + 1..value_end)?))
        })
    }

    /// The first value of a field.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }
}

impl Headers for Fields {
    fn each<'a>(&'a self, name: &str, f: &mut dyn FnMut(&'a [u8])) {
        self.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes())).for_each(|(_, value)| f(value));
    }
}

/// The host's form of these fields.
pub(crate) fn encoded(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut out = Vec::with_capacity(4 + fields.iter().map(|(n, v)| 10 + n.len() + v.len()).sum::<usize>());
    out.extend_from_slice(&u32::try_from(fields.len()).unwrap_or(u32::MAX).to_le_bytes());
    for (name, value) in fields {
        out.extend_from_slice(&size(name.as_bytes()));
        out.extend_from_slice(&size(value));
    }
    for (name, value) in fields {
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.extend_from_slice(value);
        out.push(0);
    }
    out
}

impl From<Vec<u8>> for Fields {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Fields {
    /// The host's form.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Runs `event` on the plugin. A host that calls back while it is called gets `otherwise`.
fn with<R>(otherwise: R, event: impl FnOnce(&mut Plugin) -> R) -> R {
    PLUGIN.with(|plugin| match plugin.try_borrow_mut() {
        Ok(mut plugin) => event(&mut plugin),
        Err(_) => otherwise,
    })
}

// What the host calls.

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {}

/// Memory for what a host call returns.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    LENT.with(|lent| {
        let mut memory = Vec::new();
        let Ok(mut lent) = lent.try_borrow_mut() else { return null_mut() };
        if memory.try_reserve_exact(size).is_err() {
            return null_mut();
        }
        memory.resize(size, 0);
        let data = memory.as_mut_ptr();
        lent.push(memory);
        data
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_root: u32, _size: usize) -> u32 {
    1
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, size: usize) -> u32 {
    with(0, |plugin| u32::from(plugin.configure(root, size)))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, root: u32) {
    with((), |plugin| plugin.create(context, root));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _count: u32, end: u32) -> u32 {
    with(0, |plugin| plugin.request(context, end != 0) as u32)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context: u32, _count: u32, _end: u32) -> u32 {
    with(0, |plugin| plugin.response(context) as u32)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(root: u32, call: u32, count: u32, size: usize, _trailers: u32) {
    with((), |plugin| plugin.answer(root, call, count != 0, size));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    with((), |plugin| plugin.tick(root));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(_context: u32) -> u32 {
    1
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    with((), |plugin| plugin.delete(context));
}

const _: () = assert!(plugin::Action::Pause as u32 == 1);
