//! Flags that other clients have.

use super::Args;
use crate::{
    commands::Context,
    failure::{Failure, Kind},
};

/// Those that change nothing here are said to, those that would are refused.
pub(super) fn check(context: &Context, args: &Args) -> Result<(), Failure> {
    for (given, name) in [
        (!args.release_tag.is_empty(), "--release-tag"),
        (args.draft, "--draft"),
        (args.note.is_some(), "--note"),
    ] {
        if given {
            return Err(Failure::new(
                Kind::Usage,
                format!("{name} is for releases of a fleet; this is a push to one device"),
            ));
        }
    }
    for (given, name, why) in [
        (
            args.noconvert_eol,
            "--noconvert-eol",
            "files are sent as they are",
        ),
        (args.emulated, "--emulated", "the device builds for itself"),
    ] {
        if given {
            context
                .console
                .say(&format!("{name} changes nothing: {why}"));
        }
    }
    Ok(())
}
