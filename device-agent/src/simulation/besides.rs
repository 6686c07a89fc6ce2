//! What a seed decides besides, from numbers of its own: the stories of the other seeds stay what they are.

use super::random::Random;
use super::script::{Action, Script, TROUBLE};
use super::spec::{Contract, NetworkChoice, ServiceSpec};
use crate::model::{Request, Wish};

/// Such that the seeds that broke something before there was any of this keep their stories, too.
const SALT: u64 = 0xbe5_1de5_000a;

/// Adds to the stories of some seeds.
pub(super) fn add(script: &mut Script, seed: u64) {
    let mut random = Random::new(seed ^ SALT);
    let random = &mut random;
    if !random.chance(40) {
        return;
    }
    if random.chance(35) {
        contracts(random, script);
    }
    if random.chance(35) {
        hand_overs(random, script);
    }
    if random.chance(50) {
        for _ in 0..random.between(1, 2) {
            purge(random, script);
        }
    }
    if random.chance(20) {
        lies(random, script);
    }
}

/// Services of some releases require what the device has or has not.
fn contracts(random: &mut Random, script: &mut Script) {
    let apps = script.specs.iter_mut().flat_map(|spec| &mut spec.apps);
    for app in apps.map(|(_, app)| app) {
        let mut services = app.services.values();
        let has_guest = services.any(|s| matches!(s.network, NetworkChoice::Of(_)));
        for (name, service) in &mut app.services {
            service.contract = match random.below(100) {
                0..25 => Contract::Unmet,
                25..40 => Contract::Met,
                _ => Contract::Nothing,
            };
            // Whoever shares the network of one that is left out waits for it for ever.
            let is_owner = has_guest && name == "a";
            service.is_optional = random.chance(50) && !is_owner;
        }
    }
}

/// One service after the other is handed over, and says so or not.
fn hand_overs(random: &mut Random, script: &mut Script) {
    let patience = random.pick(&[500, 3_000, 10_000]);
    for (level, spec) in (0..).zip(&mut script.specs) {
        spec.discard.clear();
        for (name, service) in spec.apps.values_mut().flat_map(|app| &mut app.services) {
            // One whose successor has failed waits for somebody, as it should.
            service.is_one_shot = false;
            if name == "a" || random.chance(40) {
                hand_over(service, patience, level);
            }
        }
    }
}

fn hand_over(service: &mut ServiceSpec, patience: u64, level: u64) {
    service.strategy = Some("hand-over");
    service.patience = patience;
    service.level = level % 4;
    service.running = true;
    service.requires_restart = false;
}

/// Somebody wants the data of one service to go.
fn purge(random: &mut Random, script: &mut Script) {
    let service = random.pick(&["a", "a", "b", "c"]).to_owned();
    let request = Request {
        app_id: random.pick(&[1, 1, 1, 2, 9]),
        what: Wish::Purge(Some(service)),
        force: random.chance(40),
    };
    let time = random.between(1, TROUBLE - 1);
    script.actions.push((time, Action::Ask(request)));
}

/// The disk says of what it writes that it is safe when it is not, and there is no power for a moment.
fn lies(random: &mut Random, script: &mut Script) {
    script.faults.lies = random.pick(&[10, 40, 80]);
    for _ in 0..random.between(1, 3) {
        let time = random.between(1, TROUBLE - 1);
        script.actions.push((time, Action::PowerCut(None)));
    }
    if random.chance(60) {
        let time = random.between(10_000, TROUBLE - 10_000);
        let request = Request {
            app_id: 1,
            what: Wish::Purge(random.pick(&[None, Some("a".to_owned())])),
            force: true,
        };
        script.actions.push((time, Action::Ask(request)));
        let cut = time + random.between(500, 9_000);
        script.actions.push((cut, Action::PowerCut(None)));
    }
}
