//! A proxy-wasm host of ours: the module that Envoy loads, with a clock, fields and a network that the test holds.
//!
//! Several machines share the data that Envoy's workers share. A call of the host fails where the test says so, and each
//! is counted.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use wasmi::{Caller, Config, Engine, Extern, Instance, Linker, Memory, Module, Store};

/// Names and values of header fields.
pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;
/// Header fields as texts.
pub fn fields(of: &[(&str, &str)]) -> Fields {
    of.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

/// What all machines share: time in nanoseconds, and data.
#[derive(Debug, Default)]
pub struct Shared {
    pub time: u64,
    pub data: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    version: u32,
}

/// A request that the module sent.
#[derive(Clone, Debug)]
pub struct Call {
    pub id: u32,
    pub context: u32,
    pub cluster: String,
    pub fields: Fields,
    pub body: Vec<u8>,
    pub timeout: u32,
}

impl Call {
    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<String> {
        let found = self.fields.iter().find(|(known, _)| known == name.as_bytes())?;
        Some(String::from_utf8_lossy(&found.1).into_owned())
    }
}

/// One machine's side of the host.
#[derive(Debug, Default)]
pub struct State {
    pub shared: Arc<Mutex<Shared>>,
    pub configuration: Vec<u8>,
    /// Of each stream.
    pub request: HashMap<u32, Fields>,
    pub response: HashMap<u32, Fields>,
    /// Of the answer that is being handed over.
    pub answer: Option<(Fields, Vec<u8>)>,
    /// Bytes in the place of encoded fields, for a host that writes nonsense.
    pub garbage: Option<Vec<u8>>,
    pub current: u32,
    pub calls: Vec<Call>,
    next: u32,
    pub resumed: Vec<u32>,
    pub replies: Vec<(u32, u32, Vec<u8>)>,
    pub log: Vec<String>,
    pub period: u32,
    pub counters: Vec<(String, i64)>,
    /// How often each function was called.
    pub count: BTreeMap<&'static str, usize>,
    /// Functions that answer with a status.
    pub fail: HashMap<&'static str, u32>,
}

/// One virtual machine with the module in it.
pub struct Machine {
    pub store: Store<State>,
    instance: Instance,
}

fn memory(caller: &Caller<'_, State>) -> Memory {
    caller.get_export("memory").and_then(Extern::into_memory).unwrap()
}

fn read(caller: &Caller<'_, State>, at: u32, size: u32) -> Vec<u8> {
    let mut bytes = vec![0; size as usize];
    memory(caller).read(caller, at as usize, &mut bytes).unwrap();
    bytes
}

fn write(caller: &mut Caller<'_, State>, at: u32, bytes: &[u8]) {
    memory(caller).write(caller, at as usize, bytes).unwrap();
}

/// Hands bytes to the module, in memory that it gives.
fn hand(caller: &mut Caller<'_, State>, bytes: &[u8], data: u32, size: u32) -> u32 {
    let allocate = caller.get_export("proxy_on_memory_allocate").and_then(Extern::into_func).unwrap();
    let allocate = allocate.typed::<u32, u32>(&*caller).unwrap();
    let length = u32::try_from(bytes.len()).unwrap();
    let at = allocate.call(&mut *caller, length).unwrap();
    if at == 0 && length > 0 {
        return 6;
    }
    write(caller, at, bytes);
    write(caller, data, &at.to_le_bytes());
    write(caller, size, &length.to_le_bytes());
    0
}

/// Counts a call, and fails it where the test says so.
macro_rules! enter {
    ($caller:expr, $name:literal) => {
        *$caller.data_mut().count.entry($name).or_default() += 1;
        if let Some(status) = $caller.data().fail.get($name) {
            return *status;
        }
    };
}

pub fn encode(fields: &Fields) -> Vec<u8> {
    let number = |n: usize| u32::try_from(n).unwrap().to_le_bytes();
    let mut out = number(fields.len()).to_vec();
    fields.iter().for_each(|(n, v)| out.extend([number(n.len()), number(v.len())].concat()));
    fields.iter().for_each(|(n, v)| out.extend([n.as_slice(), b"\0", v, b"\0"].concat()));
    out
}

fn decode(bytes: &[u8]) -> Fields {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let mut at = 4 + number(0) * 8;
    (0..number(0))
        .map(|place| {
            let (name, value) = (number(4 + place * 8), number(8 + place * 8));
            let field = (bytes[at..at + name].to_vec(), bytes[at + name + 1..at + name + 1 + value].to_vec());
            at += name + value + 2;
            field
        })
        .collect()
}

/// The map of the context that calls are about.
fn map<'a>(caller: &'a mut Caller<'_, State>, map: u32) -> Option<&'a mut Fields> {
    let state = caller.data_mut();
    match map {
        0 => state.request.get_mut(&state.current),
        2 => state.response.get_mut(&state.current),
        6 => state.answer.as_mut().map(|(fields, _)| fields),
        _ => None,
    }
}

fn linker(engine: &Engine) -> Linker<State> {
    type C<'a> = Caller<'a, State>;
    let mut linker = Linker::new(engine);
    linker
        .func_wrap("env", "proxy_log", |mut c: C<'_>, _: u32, at: u32, size: u32| -> u32 {
            enter!(c, "log");
            let text = String::from_utf8_lossy(&read(&c, at, size)).into_owned();
            c.data_mut().log.push(text);
            0
        })
        .unwrap()
        .func_wrap("env", "proxy_get_current_time_nanoseconds", |mut c: C<'_>, at: u32| -> u32 {
            enter!(c, "time");
            let time = c.data().shared.lock().unwrap().time;
            write(&mut c, at, &time.to_le_bytes());
            0
        })
        .unwrap()
        .func_wrap("env", "proxy_set_tick_period_milliseconds", |mut c: C<'_>, period: u32| -> u32 {
            enter!(c, "tick");
            c.data_mut().period = period;
            0
        })
        .unwrap()
        .func_wrap(
            "env",
            "proxy_get_buffer_bytes",
            |mut c: C<'_>, kind: u32, from: u32, most: u32, d: u32, s: u32| -> u32 {
                enter!(c, "buffer");
                let bytes = match kind {
                    7 => Some(c.data().configuration.clone()),
                    4 => c.data().answer.as_ref().map(|(_, body)| body.clone()),
                    _ => None,
                };
                let Some(bytes) = bytes else { return 1 };
                let end = bytes.len().min((from + most) as usize);
                hand(&mut c, &bytes[from as usize..end], d, s)
            },
        )
        .unwrap()
        .func_wrap("env", "proxy_get_header_map_pairs", |mut c: C<'_>, which: u32, d: u32, s: u32| -> u32 {
            enter!(c, "fields");
            let Some(fields) = map(&mut c, which).map(|fields| encode(fields)) else { return 2 };
            let bytes = c.data().garbage.clone().unwrap_or(fields);
            hand(&mut c, &bytes, d, s)
        })
        .unwrap()
        .func_wrap(
            "env",
            "proxy_get_header_map_value",
            |mut c: C<'_>, which: u32, n: u32, l: u32, d: u32, s: u32| -> u32 {
                enter!(c, "field");
                let name = read(&c, n, l);
                let Some(fields) = map(&mut c, which) else { return 2 };
                let Some(value) = fields.iter().find(|(known, _)| *known == name).map(|(_, v)| v.clone()) else {
                    return 1;
                };
                hand(&mut c, &value, d, s)
            },
        )
        .unwrap()
        .func_wrap(
            "env",
            "proxy_replace_header_map_value",
            |mut c: C<'_>, which: u32, n: u32, l: u32, v: u32, m: u32| -> u32 {
                enter!(c, "replace");
                let (name, value) = (read(&c, n, l), read(&c, v, m));
                let Some(fields) = map(&mut c, which) else { return 2 };
                fields.retain(|(known, _)| *known != name);
                fields.push((name, value));
                0
            },
        )
        .unwrap()
        .func_wrap("env", "proxy_remove_header_map_value", |mut c: C<'_>, which: u32, n: u32, l: u32| -> u32 {
            enter!(c, "remove");
            let name = read(&c, n, l);
            let Some(fields) = map(&mut c, which) else { return 2 };
            fields.retain(|(known, _)| *known != name);
            0
        })
        .unwrap()
        .func_wrap(
            "env",
            "proxy_http_call",
            |mut c: C<'_>,
             n: u32,
             l: u32,
             h: u32,
             hl: u32,
             b: u32,
             bl: u32,
             _t: u32,
             _tl: u32,
             timeout: u32,
             id: u32|
             -> u32 {
                enter!(c, "call");
                let (cluster, fields) = (read(&c, n, l), decode(&read(&c, h, hl)));
                let (cluster, body) = (String::from_utf8(cluster).unwrap(), read(&c, b, bl));
                let state = c.data_mut();
                state.next += 1;
                let (number, context) = (state.next, state.current);
                state.calls.push(Call { id: number, context, cluster, fields, body, timeout });
                write(&mut c, id, &number.to_le_bytes());
                0
            },
        )
        .unwrap()
        .func_wrap("env", "proxy_continue_stream", |mut c: C<'_>, _: u32| -> u32 {
            enter!(c, "continue");
            let state = c.data_mut();
            state.resumed.push(state.current);
            0
        })
        .unwrap()
        .func_wrap(
            "env",
            "proxy_send_local_response",
            |mut c: C<'_>, status: u32, _: u32, _: u32, b: u32, bl: u32, h: u32, hl: u32, _: i32| -> u32 {
                enter!(c, "reply");
                let body = read(&c, b, bl);
                let _ = decode(&read(&c, h, hl));
                let state = c.data_mut();
                state.replies.push((state.current, status, body));
                0
            },
        )
        .unwrap()
        .func_wrap("env", "proxy_get_shared_data", |mut c: C<'_>, k: u32, l: u32, d: u32, s: u32, cas: u32| -> u32 {
            enter!(c, "shared");
            let key = read(&c, k, l);
            let found = c.data().shared.lock().unwrap().data.get(&key).cloned();
            let Some((value, version)) = found else { return 1 };
            write(&mut c, cas, &version.to_le_bytes());
            hand(&mut c, &value, d, s)
        })
        .unwrap()
        .func_wrap("env", "proxy_set_shared_data", |mut c: C<'_>, k: u32, l: u32, v: u32, m: u32, cas: u32| -> u32 {
            enter!(c, "share");
            let (key, value) = (read(&c, k, l), read(&c, v, m));
            let shared = Arc::clone(&c.data().shared);
            let mut shared = shared.lock().unwrap();
            if cas != 0 && shared.data.get(&key).is_some_and(|(_, version)| *version != cas) {
                return 8;
            }
            shared.version += 1;
            let version = shared.version;
            shared.data.insert(key, (value, version));
            0
        })
        .unwrap()
        .func_wrap("env", "proxy_set_effective_context", |mut c: C<'_>, context: u32| -> u32 {
            enter!(c, "context");
            let state = c.data_mut();
            if context != 1 && !state.request.contains_key(&context) {
                return 2;
            }
            state.current = context;
            0
        })
        .unwrap()
        .func_wrap("env", "proxy_define_metric", |mut c: C<'_>, _: u32, n: u32, l: u32, id: u32| -> u32 {
            enter!(c, "define");
            let name = String::from_utf8(read(&c, n, l)).unwrap();
            c.data_mut().counters.push((name, 0));
            let number = u32::try_from(c.data().counters.len() - 1).unwrap();
            write(&mut c, id, &number.to_le_bytes());
            0
        })
        .unwrap()
        .func_wrap("env", "proxy_increment_metric", |mut c: C<'_>, id: u32, by: i64| -> u32 {
            enter!(c, "increment");
            let Some((_, counter)) = c.data_mut().counters.get_mut(id as usize) else { return 2 };
            *counter += by;
            0
        })
        .unwrap();
    linker
}

/// The module, compiled once for all machines.
pub struct Host {
    engine: Engine,
    module: Module,
    pub shared: Arc<Mutex<Shared>>,
}

impl Default for Host {
    fn default() -> Self {
        let mut config = Config::default();
        config.consume_fuel(true);
        let engine = Engine::new(&config);
        let module = Module::new(&engine, std::fs::read(crate::module()).unwrap()).unwrap();
        let shared = Shared { time: 1_800_000_000_000_000_000, ..Shared::default() };
        Self { engine, module, shared: Arc::new(Mutex::new(shared)) }
    }
}

impl Host {
    /// A machine whose root context is 1; `Err`: the configuration is refused, and the log.
    pub fn machine(&self, configuration: &str) -> Result<Machine, Vec<String>> {
        self.machine_with(configuration, State::default())
    }

    /// The same with some calls failing from the start.
    pub fn machine_with(&self, configuration: &str, state: State) -> Result<Machine, Vec<String>> {
        let state =
            State { shared: Arc::clone(&self.shared), configuration: configuration.into(), current: 1, ..state };
        let mut store = Store::new(&self.engine, state);
        store.set_fuel(FUEL).unwrap();
        let instance = linker(&self.engine).instantiate_and_start(&mut store, &self.module).unwrap();
        let mut machine = Machine { store, instance };
        machine.run("_initialize", &[]);
        machine.run("proxy_on_context_create", &[1, 0]);
        assert_eq!(machine.run("proxy_on_vm_start", &[1, 0]), 1);
        let size = u32::try_from(configuration.len()).unwrap();
        if machine.run("proxy_on_configure", &[1, size]) == 0 {
            return Err(std::mem::take(&mut machine.store.data_mut().log));
        }
        Ok(machine)
    }

    /// Lets time pass, in milliseconds.
    pub fn pass(&self, milliseconds: u64) {
        self.shared.lock().unwrap().time += milliseconds * 1_000_000;
    }
}

/// Steps for one callback: one that needs more runs away.
const FUEL: u64 = 200_000_000;

impl Machine {
    /// Calls an export. Every trap is a failed test.
    pub fn run(&mut self, name: &str, arguments: &[u32]) -> u32 {
        // What a callback is about, as the ABI has it: the context in its first argument.
        if let (true, Some(context)) = (name != "proxy_on_context_create", arguments.first()) {
            self.store.data_mut().current = *context;
        }
        self.store.set_fuel(FUEL).unwrap();
        let function = self.instance.get_func(&self.store, name).unwrap_or_else(|| panic!("{name} is not exported"));
        let arguments: Vec<wasmi::Val> = arguments.iter().map(|value| wasmi::Val::I32(*value as i32)).collect();
        let results = function.ty(&self.store).results().len();
        let mut result = vec![wasmi::Val::I32(0); results];
        if let Err(trap) = function.call(&mut self.store, &arguments, &mut result) {
            panic!("TRAP in {name}{arguments:?}: {trap}; the log: {:?}", self.store.data().log);
        }
        result.first().and_then(wasmi::Val::i32).unwrap_or(0) as u32
    }

    /// The state.
    pub fn state(&mut self) -> &mut State {
        self.store.data_mut()
    }

    /// A new stream with these request fields; whether it was paused.
    pub fn request(&mut self, stream: u32, of: Fields, is_whole: bool) -> bool {
        self.run("proxy_on_context_create", &[stream, 1]);
        let count = u32::try_from(of.len()).unwrap();
        self.state().request.insert(stream, of);
        self.run("proxy_on_request_headers", &[stream, count, u32::from(is_whole)]) == 1
    }

    /// An answer to it.
    pub fn response(&mut self, stream: u32, of: Fields) -> bool {
        let count = u32::try_from(of.len()).unwrap();
        self.state().response.insert(stream, of);
        self.run("proxy_on_response_headers", &[stream, count, 0]) == 1
    }

    /// The end of a stream.
    pub fn end(&mut self, stream: u32) {
        self.run("proxy_on_done", &[stream]);
        self.run("proxy_on_delete", &[stream]);
        self.state().request.remove(&stream);
        self.state().response.remove(&stream);
    }

    /// The answer to a request of the module; none: it broke.
    pub fn answer(&mut self, call: &Call, answer: Option<(Fields, &[u8])>) {
        let (count, size) =
            answer.as_ref().map_or((0, 0), |(f, b)| (u32::try_from(f.len()).unwrap(), u32::try_from(b.len()).unwrap()));
        self.state().answer = answer.map(|(fields, body)| (fields, body.to_vec()));
        self.run("proxy_on_http_call_response", &[call.context, call.id, count, size, 0]);
        self.state().answer = None;
    }

    /// The requests of the module since the last time.
    pub fn calls(&mut self) -> Vec<Call> {
        std::mem::take(&mut self.state().calls)
    }

    pub fn tick(&mut self) {
        self.run("proxy_on_tick", &[1]);
    }

    /// The value of a request field as it goes out.
    pub fn sent(&mut self, stream: u32, name: &str) -> Option<String> {
        let found = self.state().request.get(&stream)?.iter().find(|(known, _)| known == name.as_bytes())?;
        Some(String::from_utf8_lossy(&found.1).into_owned())
    }

    /// The value of a response field as it goes to the client.
    pub fn got(&mut self, stream: u32, name: &str) -> Option<String> {
        let found = self.state().response.get(&stream)?.iter().find(|(known, _)| known == name.as_bytes())?;
        Some(String::from_utf8_lossy(&found.1).into_owned())
    }

    /// The machine's memory in bytes.
    pub fn memory(&self) -> usize {
        self.instance.get_memory(&self.store, "memory").unwrap().data_size(&self.store)
    }
}
