//! The rules by which the machine lets itself be reached, kept as they should be while the agent runs.
//!
//! In: accepted targets, the engine's link. Out: the chain `BALENA-FIREWALL` by `iptables`, else a table by `nft`, for each version of
//! the internet protocol that the kernel has. What is to be is decided in `decide`, how it is written in `written`. When the agent ends, the
//! rules stay: a device must not be open for the moments in which its agent is replaced. A system without either program, or
//! that lets the agent do nothing to its network, is told of once and works without.

mod decide;
mod tables;
#[cfg(test)]
mod tests;
mod written;

use std::net::SocketAddr;
use std::path::Path;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::engine::Link;
use crate::store::Accepted;
use decide::{MODE, Rule, Situation, no_mode, rules};
use tables::{Keeper, LOOK_EVERY};
use written::Family;

/// Is there when the kernel has the sixth version of the protocol.
const HAS_V6: &str = "/proc/net/if_inet6";

/// Keeps the rules until there are no more targets. `listen` are the addresses of the agent's API.
pub(crate) async fn keep(
    listen: Vec<SocketAddr>,
    mut targets: watch::Receiver<Accepted>,
    mut link: watch::Receiver<Link>,
) {
    let mut keepers = vec![Keeper::new(Family::V4)];
    let mut said = None;
    loop {
        // It may come later, as a module.
        if keepers.len() == 1 && Path::new(HAS_V6).exists() {
            keepers.push(Keeper::new(Family::V6));
        }
        let wanted = wanted(&listen, &targets.borrow_and_update(), &mut said);
        for keeper in &mut keepers {
            keeper.keep(&wanted).await;
        }
        let pauses = keepers.iter().map(Keeper::pause);
        let pause = pauses.min().unwrap_or(LOOK_EVERY);
        tokio::select! {
            changed = targets.changed() => if changed.is_err() {
                return;
            },
            // An engine that starts writes rules of its own.
            Ok(()) = link.changed() => {}
            () = sleep(pause) => {}
        }
    }
}

/// The rules for a target. A mode that is none is told when it comes.
fn wanted(listen: &[SocketAddr], accepted: &Accepted, said: &mut Option<String>) -> Vec<Rule> {
    let target = accepted.target.as_deref();
    let word = no_mode(target).map(str::to_owned);
    if let Some(word) = word.as_ref().filter(|_| *said != word) {
        tracing::warn!(
            "{MODE} is `{word}`, which counts as `off`: `off`, `on` or `auto` is expected"
        );
    }
    *said = word;
    rules(&Situation::new(listen, target, accepted.is_local()))
}
