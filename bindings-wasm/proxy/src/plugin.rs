//! Which configuration an event of the host is for.

use crate::abi::{self, Buffer, Level};
use crate::ids::Ids;
use crate::root::Root;

/// What becomes of a stream after its callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Continue = 0,
    Pause = 1,
}

/// All that one virtual machine knows. There is one for each worker; one machine may have several configurations.
#[derive(Debug, Default)]
pub(crate) struct Plugin {
    roots: Ids<Root>,
    /// The root of each stream.
    streams: Ids<u32>,
}

impl Plugin {
    /// Takes a configuration; false: the host refuses it.
    pub(crate) fn configure(&mut self, root: u32, size: usize) -> bool {
        let json = if size == 0 { Ok(Vec::new()) } else { abi::bytes(Buffer::Configuration, size) };
        let read = json.map_err(|_| "the proxy does not give it".to_string()).and_then(|json| Root::new(root, &json));
        match read {
            Ok(made) => {
                self.roots.insert(root, made);
                true
            }
            Err(why) => {
                abi::log(Level::Error, &format!("regauth: the configuration of the plugin cannot be used: {why}"));
                false
            }
        }
    }

    pub(crate) fn create(&mut self, context: u32, root: u32) {
        if root != 0 {
            self.streams.insert(context, root);
        }
    }

    pub(crate) fn request(&mut self, stream: u32, is_whole: bool) -> Action {
        self.of(stream).map_or(Action::Continue, |root| root.request(stream, is_whole))
    }

    pub(crate) fn response(&mut self, stream: u32) -> Action {
        self.of(stream).map_or(Action::Continue, |root| root.response(stream))
    }

    pub(crate) fn answer(&mut self, root: u32, call: u32, whole: bool, size: usize) {
        if let Some(root) = self.roots.get_mut(root) {
            root.answer(call, whole, size);
        }
    }

    pub(crate) fn tick(&mut self, root: u32) {
        if let Some(root) = self.roots.get_mut(root) {
            root.tick();
        }
    }

    pub(crate) fn delete(&mut self, context: u32) {
        if let Some(root) = self.of(context) {
            root.gone(context);
        }
        self.streams.remove(context);
        self.roots.remove(context);
    }

    fn of(&mut self, stream: u32) -> Option<&mut Root> {
        self.roots.get_mut(*self.streams.get(stream)?)
    }
}
