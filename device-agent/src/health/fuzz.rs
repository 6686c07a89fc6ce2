//! A door for the fuzz target over what boot loaders are told.

use super::boot_env::{BootEnv, Slot, read, write};

/// A boot loader's file in which the other system is kept for good; `None` where it is no such file, or has no room.
#[must_use]
pub fn other_kept(bytes: &[u8]) -> Option<Vec<u8>> {
    let env = read(bytes).ok()?;
    let other = match env.root {
        Slot::A => Slot::B,
        Slot::B => Slot::A,
    };
    let settled = BootEnv {
        root: other,
        is_on_trial: false,
    };
    let written = write(bytes, settled).ok()?;
    assert_eq!(read(&written), Ok(settled), "what was written is not read");
    Some(written)
}
