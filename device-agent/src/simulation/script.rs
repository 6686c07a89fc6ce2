//! What a seed decides before anything happens: how bad the world is, and what people do in it.

use super::besides;
use super::generate::{IMAGES, Palette};
use super::random::Random;
use super::spec::Spec;
use super::state::Time;
use crate::model::{Request, Scope, Wish};

/// Until when there are faults, in milliseconds.
pub(super) const TROUBLE: Time = 60_000;

/// How bad the world is, in percent where it is a number.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    /// Calls that fail, before or after they took effect.
    pub(super) errors: u64,
    /// Answers that take long.
    pub(super) slow: u64,
    /// Answers that do not come in time.
    pub(super) hangs: u64,
    /// Flushes that are said to be done and are not yet.
    pub(super) lies: u64,
    /// Writes that fail.
    pub(super) disk: u64,
    /// Runs of a service that end by themselves.
    pub(super) exits: u64,
    /// Runs of a service that take its lock.
    pub(super) locks: u64,
    /// Removals that get stuck.
    pub(super) removals: u64,
    /// Networks that are made once more, as by the late call of an agent that is dead.
    pub(super) twins: u64,
    /// Events that are lost without a sign.
    pub(super) lost: u64,
    /// Whether containers are listed and looked at at different times.
    pub(super) torn: bool,
    /// Whether files may have two names.
    pub(super) hard_links: bool,
    /// Whether most events are lost because the agent is slow.
    pub(super) lagging: bool,
}

/// Something that somebody does.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// A target of the local network, and whether it overrides locks.
    Put(usize, bool),
    /// A target of the fleet.
    PutFleet(usize),
    BeginSession,
    EndSession,
    Ask(Request),
    /// What would this target change?
    Preview(usize),
    /// Nothing is to be changed for so many milliseconds, whoever holds locks if the second is true.
    Still(Time, bool),
    /// An image is built anew.
    Rebuild(&'static str),
    /// Somebody takes a container away.
    TakeAway,
    /// Somebody does something to a container.
    ByHand(Hand),
    /// An agent before this one has left a second container of a service.
    Duplicate,
    /// The machine is started anew, if the agent still wants that.
    Restart,
    /// The agent's process is killed, now or at so many operations on the disk from now.
    Kill(Option<u64>),
    /// The machine loses power.
    PowerCut(Option<u64>),
    /// The agent begins.
    Begin,
    /// The agent reaches the engine.
    Connect,
    EngineEnds,
    EngineBegins,
    /// The engine's events are cut off, which the agent does not notice yet.
    CutEvents,
    /// The agent notices.
    NoticeCut,
    FillDisk(bool),
    FillEngine(bool),
    Calm,
}

/// What somebody does to a container.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hand {
    Stop,
    Start,
    Restart,
}

/// The whole story.
#[derive(Debug, Clone)]
pub(super) struct Script {
    pub(super) is_managed: bool,
    pub(super) faults: Faults,
    pub(super) specs: Vec<Spec>,
    pub(super) actions: Vec<(Time, Action)>,
}

impl Script {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x05ee_d0f5_7a7e);
        let random = &mut random;
        let palette = Palette::new(random);
        let is_managed = random.chance(35);
        let mut script = Self {
            is_managed,
            faults: faults(random),
            specs: Vec::new(),
            actions: vec![(0, Action::Begin), (TROUBLE, Action::Calm)],
        };
        script.targets(random, &palette);
        script.requests(random, &palette);
        script.accidents(random);
        besides::add(&mut script, seed);
        script.actions.sort_by_key(|(time, _)| *time);
        script
    }

    fn add(&mut self, random: &mut Random, action: Action) {
        let time = random.between(1, TROUBLE - 1);
        self.actions.push((time, action));
    }

    fn targets(&mut self, random: &mut Random, palette: &Palette) {
        let count = random.between(1, 4);
        let mut last: [Option<Spec>; 2] = [None, None];
        for index in 0..count {
            let is_fleet = self.is_managed && (index == 0 || random.chance(40));
            let apps: &[u32] = if is_fleet { &[1, 9] } else { &[1, 2] };
            let number = self.specs.len();
            let slot = &mut last[usize::from(is_fleet)];
            let spec = match slot {
                Some(before) => palette.next(random, number, apps, before),
                None => palette.target(random, number, apps),
            };
            *slot = Some(spec.clone());
            self.specs.push(spec);
            let action = if is_fleet {
                Action::PutFleet(number)
            } else {
                Action::Put(number, random.chance(15))
            };
            let time = if index == 0 {
                random.between(1, 1_000)
            } else {
                random.between(1, TROUBLE - 1)
            };
            self.actions.push((time, action));
        }
        if self.is_managed {
            for _ in 0..random.below(3) {
                self.add(random, Action::BeginSession);
                self.add(random, Action::EndSession);
            }
        }
        if random.chance(10) {
            let spec = random.below(count);
            self.add(random, Action::Preview(usize::try_from(spec).unwrap()));
        }
    }

    fn requests(&mut self, random: &mut Random, palette: &Palette) {
        if random.chance(40) {
            return;
        }
        for _ in 0..random.between(1, 3) {
            let service = random.pick(&[None, Some("a".to_owned()), Some("b".to_owned())]);
            let what = match random.below(10) {
                0..=2 => Wish::Restart(service),
                // What shares the network of a stopped service could not be started.
                3 | 4 if palette.shared_networks == 0 => Wish::Stop(service),
                5 | 6 => Wish::Start(service),
                7 => Wish::Purge(None),
                8 => Wish::CleanVolumes(random.pick(&[Scope::Global, Scope::App(1)])),
                _ if service.is_some() => Wish::Anew,
                _ => Wish::Update,
            };
            let request = Request {
                app_id: random.pick(&[1, 1, 1, 2, 9]),
                what,
                force: random.chance(25),
            };
            self.add(random, Action::Ask(request));
        }
    }

    fn accidents(&mut self, random: &mut Random) {
        let fuse = |random: &mut Random| random.chance(60).then(|| random.between(1, 25));
        if random.chance(50) {
            for _ in 0..random.between(1, 3) {
                let kill = if random.chance(60) {
                    Action::Kill(fuse(random))
                } else {
                    Action::PowerCut(fuse(random))
                };
                self.add(random, kill);
            }
        }
        if random.chance(30) {
            self.add(random, Action::EngineEnds);
        }
        if random.chance(30) {
            self.add(random, Action::CutEvents);
        }
        if random.chance(15) {
            self.add(random, Action::FillDisk(true));
            self.add(random, Action::FillDisk(false));
        }
        if random.chance(15) {
            self.add(random, Action::FillEngine(true));
            self.add(random, Action::FillEngine(false));
        }
        if random.chance(20) {
            self.add(random, Action::TakeAway);
        }
        if random.chance(20) {
            for _ in 0..random.between(1, 2) {
                let hand = random.pick(&[Hand::Stop, Hand::Start, Hand::Restart]);
                self.add(random, Action::ByHand(hand));
            }
        }
        if random.chance(15) {
            self.add(random, Action::Duplicate);
        }
        if random.chance(25) {
            let image = random.pick(&IMAGES);
            self.add(random, Action::Rebuild(image));
        }
        if random.chance(20) {
            let still = Action::Still(random.between(1, 20_000), random.chance(30));
            self.add(random, still);
        }
    }
}

fn faults(random: &mut Random) -> Faults {
    let mut some = |share: u64, percents: &[u64]| {
        if random.chance(share) {
            random.pick(percents)
        } else {
            0
        }
    };
    Faults {
        // Of numbers of their own.
        lies: 0,
        errors: some(50, &[2, 10, 30]),
        slow: some(40, &[5, 30]),
        hangs: some(15, &[1, 5]),
        disk: some(20, &[2, 20]),
        exits: some(40, &[20, 60]),
        locks: some(30, &[30, 80]),
        removals: some(25, &[20, 50]),
        twins: some(25, &[5, 30]),
        lost: some(30, &[5, 30]),
        torn: random.chance(30),
        hard_links: random.chance(70),
        lagging: random.chance(30),
    }
}
