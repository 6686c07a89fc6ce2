//! The text that OpenSSH reads. Pure. Source: `ssh_config(5)`.

use std::path::Path;

use crate::failure::{Failure, Kind};

/// The configuration: `program` is `os`, `folder` is where names and host keys are kept.
///
/// A name with a quote in it is never matched, so that what is put in quotes for the shell stays in them: the name may come from a link
/// or from a repository.
pub(super) fn text(program: &Path, folder: &Path) -> Result<String, Failure> {
    let program = plain(program)?;
    let folder = plain(folder)?;
    Ok(format!(
        "# Written by `os ssh-config`, which overwrites it: devices by name, as in `ssh kitchen.os`.\n\
         Match originalhost \"*.os,!*'*\" exec \"'{program}' ssh-name --folder '{folder}' -- '%n'\"\n\
         \x20   Include \"{folder}/names\"\n\
         \n\
         Match originalhost \"*.os,!*'*\"\n\
         \x20   ProxyCommand '{program}' ssh-proxy -- '%n' '%h' %p\n\
         \x20   User root\n\
         \x20   Port {}\n\
         \x20   UserKnownHostsFile \"{folder}/known_hosts\"\n\
         \x20   HashKnownHosts no\n\
         \x20   CheckHostIP no\n\
         \x20   UpdateHostKeys no\n\
         \x20   CanonicalizeHostname no\n",
        agent_api::SSH_PORT
    ))
}

/// The line that makes OpenSSH read it.
pub(super) fn include(file: &Path) -> Result<String, Failure> {
    Ok(format!("Include \"{}\"", plain(file)?))
}

/// A path that means itself to OpenSSH and to a shell, wherever it stands.
fn plain(path: &Path) -> Result<&str, Failure> {
    let means_more = |letter: char| letter.is_control() || "'\"\\$`%*?[]{}#".contains(letter);
    path.to_str()
        .filter(|text| path.is_absolute() && !text.contains(means_more))
        .ok_or_else(|| {
            let message = format!("{} cannot stand in a configuration of OpenSSH", path.display());
            Failure::new(Kind::Other, message)
                .hint("the program, XDG_CONFIG_HOME and XDG_STATE_HOME need paths without quotes, $, %, \\, #, and stars")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_may_have_blanks_and_nothing_that_means_more() {
        let text = text(Path::new("/a b/os"), Path::new("/c d/ssh")).unwrap();
        assert!(
            text.contains("exec \"'/a b/os' ssh-name --folder '/c d/ssh' -- '%n'\"\n"),
            "{text}"
        );
        assert!(
            text.contains("    UserKnownHostsFile \"/c d/ssh/known_hosts\"\n"),
            "{text}"
        );
        for wrong in ["os", "/a'b", "/a\"b", "/$x", "/%h", "/a\nb", "/a*"] {
            assert!(include(Path::new(wrong)).is_err(), "{wrong}");
        }
    }
}
