//! The phases of planning, in their order.

mod ground;
mod images;
mod networks;
mod remains;
mod retire;
mod services;

use super::found::Found;
use super::survey::Survey;

/// The first that finds steps wins.
///
/// 1. what nobody wants is taken away; 2. images; 3. volumes and networks that are missing; 4. containers that must
///    change go; 5. networks that must change go, when nothing stands in them; 6. containers are created, started,
///    stopped and renamed; 7. networks that nobody wants go.
pub(super) const IN_ORDER: [fn(&Survey<'_>) -> Found; 7] = [
    remains::find,
    images::find,
    ground::find,
    retire::find,
    networks::changed,
    services::find,
    networks::unwanted,
];
