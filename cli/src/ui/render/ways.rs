//! By which way a device is reached, where that is not SSH.

use crate::{
    failure::Failure,
    ui::{Console, style::neutralise},
};

/// What stood in the way of SSH, for those who want to know it every time.
pub fn plain(console: &Console, device: &str, why: &Failure) {
    let causes = why.causes().iter().map(|cause| format!(": {cause}"));
    let why = format!("{}{}", why.message(), causes.collect::<String>());
    console.detail(&format!(
        "{} is reached without SSH, by its plain ports: {}",
        neutralise(device),
        neutralise(&why)
    ));
}

/// What that means; it is said once for each device.
pub fn warn(console: &Console, device: &str, why: &str) {
    console.warn(&format!(
        "{} is reached without SSH, since {why}: its API and engine ask nobody who they are, so anybody in its network can do with it what you do, \
         and read or change it on the way (this is said once)",
        neutralise(device)
    ));
}
