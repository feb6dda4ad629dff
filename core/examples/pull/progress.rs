//! What goes on: bars on a terminal, a line for each finished blob elsewhere. All of it on standard error.

use std::io::{IsTerminal as _, Write as _, stderr};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};

/// All bars.
pub(crate) struct Progress {
    bars: Option<MultiProgress>,
}

/// The bar of one blob.
pub(crate) struct Bar {
    bar: Option<ProgressBar>,
    name: String,
    size: u64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { bars: stderr().is_terminal().then(MultiProgress::new) }
    }

    /// Something that the user should know.
    pub(crate) fn say(&self, text: &str) {
        match &self.bars {
            Some(bars) => _ = bars.println(text),
            None => _ = writeln!(stderr(), "{text}"),
        }
    }

    pub(crate) fn bar(&self, name: &str, size: u64) -> Bar {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new(size));
            let style = ProgressStyle::with_template("{prefix} {bar:30} {bytes:>10} of {total_bytes}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(name.to_string());
            bar
        });
        Bar { bar, name: name.into(), size }
    }
}

impl Bar {
    pub(crate) fn at(&self, received: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(received);
        }
    }

    /// Something that the user should know.
    pub(crate) fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(format!("{} {text}", self.name)),
            None => _ = writeln!(stderr(), "{} {text}", self.name),
        }
    }

    pub(crate) fn done(&self) {
        match &self.bar {
            Some(bar) => bar.finish(),
            None => _ = writeln!(stderr(), "{} {}", self.name, HumanBytes(self.size)),
        }
    }
}
