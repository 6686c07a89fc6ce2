//! Rows of figures: medians, ratios, goals.
//!
//! In: samples of ours and of a peer. Out: a line on standard output for each row, as soon as it is known.

use std::time::Duration;

use serde_json::json;

/// What a figure is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Milliseconds,
    Mebibytes,
    Kibibytes,
    Percent,
    /// Of 1,000,000 bytes, a second.
    Megabytes,
}

/// Samples of one side.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn time(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1000.0);
    }

    pub(crate) fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    pub(crate) fn median(&self) -> Option<f64> {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => None,
            odd if odd % 2 == 1 => Some(sorted[middle]),
            _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
        }
    }

    fn ends(&self) -> Option<(f64, f64)> {
        let sorted = self.sorted();
        Some((*sorted.first()?, *sorted.last()?))
    }
}

/// What is wanted of the median of ours.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// For orientation.
    None,
    /// At most so much.
    AtMost(f64),
    /// The slowest one at most so much.
    WorstAtMost(f64),
    /// At most so many times the peer's.
    Times(f64),
    /// At least so many times the peer's: for what is better the more it is.
    AtLeastTimes(f64),
    /// At most so many times the peer's, and so much more.
    TimesPlus(f64, f64),
}

/// One line.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: Unit,
    pub(crate) ours: Samples,
    /// The other side, with its name.
    pub(crate) peer: Option<(&'static str, Samples)>,
    pub(crate) goal: Goal,
}

impl Row {
    /// Times beside a peer's.
    pub(crate) fn beside(
        what: &str,
        ours: Samples,
        peer: (&'static str, Samples),
        goal: Goal,
    ) -> Self {
        Self {
            what: what.to_owned(),
            unit: Unit::Milliseconds,
            ours,
            peer: Some(peer),
            goal,
        }
    }

    /// Something without a peer.
    pub(crate) fn alone(what: &str, unit: Unit, ours: Samples, goal: Goal) -> Self {
        Self {
            what: what.to_owned(),
            unit,
            ours,
            peer: None,
            goal,
        }
    }

    pub(crate) fn in_unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    fn peer_median(&self) -> Option<f64> {
        self.peer.as_ref().and_then(|(_, samples)| samples.median())
    }

    fn limit(&self) -> Option<f64> {
        match self.goal {
            Goal::None => None,
            Goal::AtMost(most) | Goal::WorstAtMost(most) => Some(most),
            Goal::Times(times) | Goal::AtLeastTimes(times) => Some(self.peer_median()? * times),
            Goal::TimesPlus(times, plus) => Some(self.peer_median()? * times + plus),
        }
    }

    fn met(&self) -> Option<bool> {
        let ours = match self.goal {
            Goal::WorstAtMost(_) => self.ours.ends()?.1,
            _ => self.ours.median()?,
        };
        let limit = self.limit()?;
        Some(match self.goal {
            Goal::AtLeastTimes(_) => ours >= limit,
            _ => ours <= limit,
        })
    }

    fn ratio(&self) -> Option<f64> {
        Some(self.ours.median()? / self.peer_median()?)
    }

    fn goal_text(&self) -> String {
        let unit = self.unit.name();
        match self.goal {
            Goal::None => "-".to_owned(),
            Goal::AtMost(most) => format!("<= {most} {unit}"),
            Goal::WorstAtMost(most) => format!("all <= {most} {unit}"),
            Goal::Times(times) => format!("<= {times}x"),
            Goal::AtLeastTimes(times) => format!(">= {times}x"),
            Goal::TimesPlus(times, plus) => format!("<= {times}x + {plus} {unit}"),
        }
    }
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Mebibytes => "MiB",
            Self::Kibibytes => "KiB",
            Self::Percent => "%",
            Self::Megabytes => "MB/s",
        }
    }
}

/// Where rows go.
#[derive(Debug)]
pub(crate) struct Table {
    json: bool,
    notes: Vec<String>,
}

impl Table {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            notes: Vec::new(),
        }
    }

    /// What it is measured on.
    pub(crate) fn machine(&self) {
        let read = |path: &str| fs_err::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let model = cpuinfo
            .lines()
            .find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim()))
            .unwrap_or("unknown");
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let release = read("/proc/sys/kernel/osrelease");
        let load = read("/proc/loadavg");
        let load = load.split_whitespace().next().unwrap_or("?");
        if self.json {
            println!(
                "{}",
                json!({"machine": {"cpu": model, "cpus": cpus, "kernel": release.trim(), "load": load}})
            );
        } else {
            println!(
                "{cpus} x {model}, Linux {}, load before: {load}\n",
                release.trim()
            );
            println!(
                "{:<54} {:>9} {:>21}  {:<32} {:>9} {:>8}  {:<18} met",
                "figure", "ours", "[min .. max]", "peer", "", "ratio", "goal"
            );
        }
    }

    pub(crate) fn row(&mut self, row: &Row) {
        let Some((ours, (least, most))) = row.ours.median().zip(row.ours.ends()) else {
            return;
        };
        let unit = row.unit.name();
        let peer = row.peer.as_ref().map(|(name, _)| *name);
        let (peer_median, ratio, met) = (row.peer_median(), row.ratio(), row.met());
        if self.json {
            let samples = |samples: &Samples| json!(samples.0);
            println!(
                "{}",
                json!({
                    "figure": row.what, "unit": unit, "ours": ours, "min": least, "max": most, "peer": peer,
                    "peer_median": peer_median, "ratio": ratio, "goal": row.goal_text(), "met": met,
                    "samples": samples(&row.ours), "peer_samples": row.peer.as_ref().map(|(_, peer)| samples(peer)),
                })
            );
            return;
        }
        let optional = |value: Option<f64>, digits| {
            value.map_or_else(String::new, |value| format!("{value:.digits$}"))
        };
        println!(
            "{:<54} {:>9} {:>21}  {:<32} {:>9} {:>8}  {:<18} {}",
            row.what,
            format!("{} {unit}", short(ours)),
            format!("[{} .. {}]", short(least), short(most)),
            peer.unwrap_or("-"),
            peer_median.map_or_else(String::new, |value| format!("{} {unit}", short(value))),
            optional(
                ratio,
                if ratio.is_some_and(|ratio| ratio < 0.1) {
                    3
                } else {
                    2
                }
            ),
            row.goal_text(),
            met.map_or("-", |met| if met { "yes" } else { "NO" }),
        );
    }

    /// Something to know about the rows, told at the end.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub(crate) fn end(&self) {
        for note in &self.notes {
            if self.json {
                println!("{}", json!({ "note": note }));
            } else {
                println!("note: {note}");
            }
        }
    }
}

/// Three digits that count.
fn short(value: f64) -> String {
    match value {
        0.0..1.0 => format!("{value:.2}"),
        1.0..20.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
