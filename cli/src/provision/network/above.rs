//! Connections that are part of another one, as a bridge's port is.
//!
//! Source: what `NetworkManager` 1.42 refuses. It knows `master` and `slave-type`; newer versions know those, too, and have `controller`
//! and `port-type` beside them, which the older one passes over: it would take a port for a network with a wire.

use super::keyfile::Read;

/// Sections of what is part of another interface, and the kind of that one.
const OF_ANOTHER: [(&str, &str); 5] = [
    ("bond-port", "bond"),
    ("bridge-port", "bridge"),
    ("ovs-interface", "ovs-port"),
    ("ovs-port", "ovs-bridge"),
    ("team-port", "team"),
];
/// Kinds of interfaces that have others as their parts.
const KINDS_ABOVE: [&str; 6] = ["bond", "bridge", "ovs-bridge", "ovs-port", "team", "vrf"];

/// Whether a part says of which connection it is one, by `master`, and of which kind that one is, by `slave-type` or by its own section.
pub(super) fn check(read: &Read, kind: &str) -> Result<(), String> {
    let has = |key: &str| read.get(&["connection"], key).is_some();
    // Passed over, where it says nothing.
    let says = |key: &str| {
        read.get(&["connection"], key)
            .is_some_and(|value| !value.is_empty())
    };
    let within: Vec<_> = OF_ANOTHER
        .iter()
        .filter(|(section, _)| *section == kind || read.has(&[section]))
        .collect();
    if says("controller") && !has("master") {
        return refused(
            "older versions pass over its controller in [connection]: write master, and slave-type for port-type",
        );
    }
    if let Some(named) = read.get(&["connection"], "slave-type") {
        return check_named(named, has("master"), &within);
    }
    match (has("master"), within.as_slice()) {
        (true, [_]) => Ok(()),
        (true, []) if says("port-type") => {
            refused("older versions pass over its port-type in [connection]: write slave-type")
        }
        (true, []) => refused(
            "it has a master in [connection], and neither slave-type nor a section like [bridge-port]",
        ),
        (true, _) => refused(
            "it has a master in [connection], no slave-type, and more than one section like [bridge-port]",
        ),
        (false, _) if says("port-type") => {
            refused("it has a port-type and no master in [connection]")
        }
        (false, within) => match within.iter().find(|(part, _)| part.starts_with("ovs-")) {
            Some((part, _)) => Err(format!("it is an {part} and has no master in [connection]")),
            None => Ok(()),
        },
    }
}

/// A kind that is named fits to what the connection has.
fn check_named(named: &str, has_master: bool, within: &[&(&str, &str)]) -> Result<(), String> {
    if !KINDS_ABOVE.contains(&named) {
        let kinds = KINDS_ABOVE.join(", ");
        return Err(format!(
            "its slave-type in [connection] is none of these: {kinds}"
        ));
    }
    if !has_master {
        return refused("it has a slave-type and no master in [connection]");
    }
    match within.iter().find(|(_, above)| *above != named) {
        Some((section, above)) => Err(format!(
            "its slave-type in [connection] is not {above}, as its [{section}] wants"
        )),
        None => Ok(()),
    }
}

fn refused(because: &str) -> Result<(), String> {
    Err(because.to_owned())
}
