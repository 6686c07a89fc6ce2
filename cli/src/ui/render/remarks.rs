//! What a device says about its target, above all what it could not give the services.

use crate::ui::{Console, Level, style::neutralise};

/// So many are shown one by one.
const FEW: usize = 3;

/// Shows them; those that are known to who reads are details. Many are counted only: what a project without a compose
/// file asks for by default is more than most of them need.
pub(super) fn show(console: &Console, device: &str, remarks: &[String], known: bool) {
    let few = remarks.len() <= FEW && !known;
    for remark in remarks {
        let line = format!("note: {}", neutralise(remark));
        if few {
            console.say(&line);
        } else {
            console.detail(&line);
        }
    }
    if !few && !known && console.level() < Level::Verbose {
        let count = remarks.len();
        console.say(&format!(
            "note: {device} leaves out {count} settings of this project; --verbose names them"
        ));
    }
}
