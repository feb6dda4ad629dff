//! Groups of measurements that belong beside each other, and how they are printed.

use crate::meter::Cost;

/// Rounds of every group. In each of them everything is measured once, in turn: so a machine that slows down slows
/// all of them down.
const ROUNDS: usize = 11;

pub(crate) struct Entry<'a> {
    name: String,
    ours: bool,
    run: Box<dyn FnMut() -> Cost + 'a>,
}

/// A measurement of regauth: those that follow are compared with it.
pub(crate) fn ours<'a>(name: impl Into<String>, run: impl FnMut() -> Cost + 'a) -> Entry<'a> {
    Entry { ours: true, ..other(name, run) }
}

pub(crate) fn other<'a>(name: impl Into<String>, run: impl FnMut() -> Cost + 'a) -> Entry<'a> {
    Entry { name: name.into(), ours: false, run: Box::new(run) }
}

pub(crate) struct Group<'a> {
    pub(crate) title: &'a str,
    pub(crate) unit: &'a str,
    pub(crate) goal: &'a str,
    pub(crate) entries: Vec<Entry<'a>>,
}

impl Group<'_> {
    /// Measures, and prints medians: the figure, allocations, and ours as a part of this figure, round by round.
    pub(crate) fn print(mut self) {
        let goal = if self.goal.is_empty() { String::new() } else { format!("   goal: {}", self.goal) };
        println!("\n{} [{}]{goal}", self.title, self.unit);
        let mut rounds: Vec<Vec<Cost>> = vec![Vec::new(); self.entries.len()];
        for _ in 0..ROUNDS {
            for (entry, costs) in self.entries.iter_mut().zip(&mut rounds) {
                costs.push((entry.run)());
            }
        }
        println!("  {:<54}{:>12}{:>8}{:>11}", "", "median", "allocs", "ours/this");
        let mut base = &rounds[0];
        for (entry, costs) in self.entries.iter().zip(&rounds) {
            if entry.ours {
                base = costs;
            }
            let figure = median(costs.iter().map(|cost| cost.figure));
            let allocations = median(costs.iter().map(|cost| cost.allocations));
            let ratio = median(base.iter().zip(costs).map(|(ours, this)| ours.figure / this.figure));
            let ratio = if entry.ours { "-".into() } else { format!("{ratio:.2}") };
            println!("  {:<54}{figure:>12.1}{allocations:>8.1}{ratio:>11}", entry.name);
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
