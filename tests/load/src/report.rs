//! What is printed.

use std::time::Duration;

use crate::load::{Sample, median};

/// The rounds of one kind of request.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) rounds: Vec<Sample>,
}

impl Row {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, rounds: Vec::new() }
    }

    /// The middle one of the rounds' values; NaN if there was no round.
    pub(crate) fn median(&self, value: impl Fn(&Sample) -> f64) -> f64 {
        median(self.rounds.iter().map(value))
    }

    fn print(&self) {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let cpu = || self.rounds.iter().map(|sample| sample.cpu);
        println!(
            "{:<34} {:>8.0} {:>8.2} {:>8.2} {:>9.1}  {:>7.1} ..{:>7.1} {:>9.1}",
            self.name,
            self.median(|sample| sample.per_second),
            self.median(|sample| milliseconds(sample.p50)),
            self.median(|sample| milliseconds(sample.p99)),
            median(cpu()),
            cpu().fold(f64::INFINITY, f64::min),
            cpu().fold(0.0, f64::max),
            self.median(|sample| sample.simulator_cpu),
        );
    }
}

/// One line for each kind of request.
pub(crate) fn table(title: &str, rows: &[&Row]) {
    println!(
        "\n{title:<34} {:>8} {:>8} {:>8} {:>9}  {:>17} {:>9}",
        "per s", "p50 ms", "p99 ms", "CPU us", "least .. most", "WeChat us"
    );
    rows.iter().filter(|row| !row.rounds.is_empty()).for_each(|row| row.print());
}

/// Processor time of one kind of request over another's: each round has its own ratio, the middle one is shown.
pub(crate) fn ratio(above: &Row, below: &Row, goal: Option<Goal>) {
    if above.rounds.is_empty() || below.rounds.is_empty() {
        return;
    }
    let ratios = || above.rounds.iter().zip(&below.rounds).map(|(above, below)| above.cpu / below.cpu);
    let (least, most) = (ratios().fold(f64::INFINITY, f64::min), ratios().fold(0.0, f64::max));
    let name = format!("{} / {}", above.name, below.name);
    let goal = goal.map(|goal| goal.judge(median(ratios()))).unwrap_or_default();
    println!("{name:<66} {:>7.2}  ({least:.2} .. {most:.2}){goal}", median(ratios()));
}

/// One number with its unit.
pub(crate) fn number(name: &str, value: f64, unit: &str, goal: Option<Goal>) {
    let goal = goal.map(|goal| goal.judge(value)).unwrap_or_default();
    println!("{name:<66} {value:>7.1} {unit}{goal}");
}

/// What a number should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    fn judge(self, value: f64) -> String {
        let (words, goal, met) = match self {
            Self::AtMost(goal) => ("at most", goal, value <= goal),
            Self::AtLeast(goal) => ("at least", goal, value >= goal),
        };
        format!("  goal: {words} {goal}, {}", if met { "met" } else { "MISSED" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_judged() {
        assert_eq!(Goal::AtMost(1.5).judge(1.5), "  goal: at most 1.5, met");
        assert_eq!(Goal::AtLeast(14.0).judge(13.9), "  goal: at least 14, MISSED");
    }
}
