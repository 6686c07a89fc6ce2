//! The phases of planning, in their order.

mod ground;
mod images;
mod networks;
mod remains;
mod retire;
mod services;

pub(super) use images::is_short;
pub(super) use networks::nobodys;

use super::found::Found;
use super::locks;
use super::survey::Survey;

/// One phase.
pub(super) type Phase = fn(&Survey<'_>) -> Found;

/// What goes on beside everything else.
pub(super) const BACKGROUND: Phase = images::find;

/// The first that finds steps wins.
///
/// 1. what nobody wants is taken away; 2. containers that must change go; 3. volumes that somebody let go of; 4. volumes
///    and networks that are missing; 5. networks that must change go, when nothing stands in them; 6. containers are
///    created, started, stopped and renamed; 7. networks and images that nobody wants go; 8. locks are let go of.
pub(super) const IN_ORDER: [Phase; 9] = [
    remains::find,
    retire::find,
    ground::doomed,
    ground::find,
    networks::changed,
    services::find,
    networks::unwanted,
    images::unused,
    locks::find,
];
