//! The figures: how fast and how small the programs are, each beside a peer or a limit that is measured in the same run.
//!
//! In: names of figures (none: all of them), `--rounds N`, `--json`. Out: a table, or a line of JSON for each row. It judges
//! nothing by itself: a goal that is not met is told and is no failure. Run by `tests/bench/run`; see `README.md`.

mod agent;
mod bare;
mod configure;
mod context;
mod copy;
mod death;
mod decision;
mod desk;
mod download;
mod figure;
mod first_byte;
mod flash;
mod flood;
mod footprint;
mod live;
mod logs;
mod memory;
mod over_ssh;
mod project;
mod push;
mod reach;
mod reader;
mod relay;
mod rest;
mod scan;
mod throughput;
mod tunnel;
mod version;

use figure::Table;

/// What there is, in the order in which it is measured.
const FIGURES: &[&str] = &[
    "version",
    "scan",
    "push",
    "first-byte",
    "over-ssh",
    "context",
    "live",
    "agent",
    "idle",
    "services",
    "decision",
    "death",
    "logs",
    "throughput",
    "flood",
    "reach",
    "footprint",
    "copy",
    "tunnel",
    "download",
    "flash",
    "configure",
];

/// What the command line asks for.
#[derive(Debug)]
struct Wish {
    figures: Vec<String>,
    /// Rounds in place of a figure's own number.
    rounds: Option<usize>,
    json: bool,
}

impl Wish {
    fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut wish = Self {
            figures: Vec::new(),
            rounds: None,
            json: false,
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--json" => wish.json = true,
                // What `cargo bench` and `cargo test` add of their own.
                "--bench" | "--test" => {}
                "--rounds" => {
                    let number = arguments.next().and_then(|number| number.parse().ok());
                    wish.rounds = Some(number.ok_or("--rounds wants a number")?);
                }
                name if FIGURES.contains(&name) => wish.figures.push(name.to_owned()),
                other => {
                    return Err(format!(
                        "`{other}` is no figure; there are: {}",
                        FIGURES.join(", ")
                    ));
                }
            }
        }
        if wish.figures.is_empty() {
            wish.figures = FIGURES.iter().map(|&name| name.to_owned()).collect();
        }
        Ok(wish)
    }

    fn rounds(&self, usual: usize) -> usize {
        self.rounds.unwrap_or(usual).max(1)
    }
}

fn main() -> std::process::ExitCode {
    testkit::source_list::assert_complete(file!());
    let wish = match Wish::read(std::env::args().skip(1)) {
        Ok(wish) => wish,
        Err(mistake) => {
            eprintln!("bench: {mistake}");
            return std::process::ExitCode::from(2);
        }
    };
    let mut table = Table::new(wish.json);
    table.machine();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    for figure in &wish.figures {
        match figure.as_str() {
            "version" => version::measure(&mut table, wish.rounds(50)),
            "scan" => runtime.block_on(scan::measure(&mut table, wish.rounds(15))),
            "push" => runtime.block_on(push::measure(&mut table, wish.rounds(7))),
            "first-byte" => runtime.block_on(first_byte::measure(&mut table, wish.rounds(30))),
            "over-ssh" => runtime.block_on(over_ssh::measure(&mut table, wish.rounds(7))),
            "context" => runtime.block_on(context::measure(&mut table, wish.rounds(7))),
            "live" => runtime.block_on(live::measure(&mut table, wish.rounds(15))),
            "agent" => runtime.block_on(agent::measure(&mut table, wish.rounds(15))),
            "idle" => runtime.block_on(rest::idle(&mut table, wish.rounds(5))),
            "services" => runtime.block_on(rest::services(&mut table, wish.rounds(3))),
            "logs" => runtime.block_on(logs::measure(&mut table, wish.rounds(40))),
            "throughput" => runtime.block_on(throughput::measure(&mut table, wish.rounds(5))),
            "flood" => runtime.block_on(flood::measure(&mut table, wish.rounds(3))),
            "decision" => decision::measure(&mut table, wish.rounds(200)),
            "death" => runtime.block_on(death::measure(&mut table, wish.rounds(20))),
            "copy" => runtime.block_on(copy::measure(&mut table, wish.rounds(5))),
            "tunnel" => runtime.block_on(tunnel::measure(&mut table, wish.rounds(5))),
            "download" => download::measure(&mut table, wish.rounds(3)),
            "flash" => flash::measure(&mut table, wish.rounds(3)),
            "configure" => configure::measure(&mut table, wish.rounds(3)),
            "footprint" => footprint::measure(&mut table, wish.rounds(3)),
            _ => reach::measure(&mut table, wish.rounds(5)),
        }
    }
    table.end();
    std::process::ExitCode::SUCCESS
}
