//! Where an Avahi daemon runs, it publishes for us: two responders would both claim the host's name. A static service file is all it takes.

use std::{
    fs::Permissions,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};

use super::{
    Config,
    zone::{OWN_SERVICE, SSH_SERVICE, SSH_SUBTYPE, txt_pairs},
};

/// Where the daemon writes its process id.
const PID_FILE: &str = "/run/avahi-daemon/pid";
/// Nothing tells when the daemon comes or goes: looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Our file among the daemon's services.
const FILE: &str = "os-agent.service";
/// Service files of others are read up to this size.
const LARGEST: u64 = 64 << 10;

/// Whether an Avahi daemon runs in our network.
pub(super) fn is_running() -> bool {
    let Ok(pid) = fs_err::read_to_string(PID_FILE) else {
        return false;
    };
    let Ok(pid) = pid.trim().parse::<u32>() else {
        return false;
    };
    let process = PathBuf::from(format!("/proc/{pid}"));
    let is_avahi = fs_err::read_to_string(process.join("comm"))
        .is_ok_and(|name| name.trim() == "avahi-daemon");
    let theirs = fs_err::read_link(process.join("ns/net"));
    let ours = fs_err::read_link("/proc/thread-self/ns/net");
    // Without the right to see its network it is taken for ours.
    is_avahi && !matches!((theirs, ours), (Ok(theirs), Ok(ours)) if theirs != ours)
}

/// Returns when the daemon is there although it was not, or the other way round.
pub(super) async fn changed(was_running: bool) {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        if is_running() != was_running {
            return;
        }
    }
}

/// Our service file, as long as it is there.
#[derive(Debug)]
pub(super) struct Publication {
    path: PathBuf,
}

impl Publication {
    /// Writes the file as a whole.
    pub(super) fn write(config: &Config) -> io::Result<Self> {
        let folder = &config.avahi_services_dir;
        let path = folder.join(FILE);
        let beside = folder.join(format!(".{FILE}.new"));
        let content = document(config, !reference_is_published(folder));
        let mut file = fs_err::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&beside)?;
        file.write_all(content.as_bytes())?;
        // The daemon reads it as a user of its own, and the agent's umask keeps its files to itself.
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.sync_all()?;
        fs_err::rename(&beside, &path)?;
        Ok(Self { path })
    }

    /// Removes the file; the daemon then says goodbye for us.
    pub(super) fn withdraw(self) {
        if let Err(error) = fs_err::remove_file(&self.path) {
            tracing::warn!(%error, "cannot withdraw the Avahi service file");
        }
    }
}

/// Whether another file, such as the reference system's own, publishes the reference's service already.
fn reference_is_published(folder: &Path) -> bool {
    let Ok(entries) = fs_err::read_dir(folder) else {
        return false;
    };
    entries.flatten().take(256).any(|entry| {
        let path = entry.path();
        let is_service = path
            .extension()
            .is_some_and(|extension| extension == "service");
        let small = entry
            .metadata()
            .is_ok_and(|data| data.is_file() && data.len() <= LARGEST);
        let others = path.file_name().is_some_and(|name| name != FILE);
        is_service
            && small
            && others
            && fs_err::read_to_string(&path).is_ok_and(|text| text.contains(SSH_SUBTYPE))
    })
}

/// The service file. Avahi puts the host name in for `%h`.
fn document(config: &Config, with_reference: bool) -> String {
    let mut text = String::from(
        "<?xml version=\"1.0\" standalone='no'?>\n<!DOCTYPE service-group SYSTEM \"avahi-service.dtd\">\n\
         <!-- Written by os-agent while it runs; changes are lost. -->\n\
         <service-group>\n  <name replace-wildcards=\"yes\">%h</name>\n",
    );
    let pairs = txt_pairs(config);
    let records: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("    <txt-record>{key}={}</txt-record>\n", escaped(value)))
        .collect();
    text += &service(OWN_SERVICE, None, config.api_port, &records.concat());
    if let Some(port) = config.ssh_port.filter(|_| with_reference) {
        text += &service(SSH_SERVICE, Some(SSH_SUBTYPE), port, "");
    }
    text + "</service-group>\n"
}

fn service(kind: &str, subtype: Option<&str>, port: u16, records: &str) -> String {
    let subtype = subtype
        .map(|subtype| format!("    <subtype>{subtype}</subtype>\n"))
        .unwrap_or_default();
    format!(
        "  <service>\n    <type>{kind}</type>\n{subtype}    <port>{port}</port>\n{records}  </service>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use rustix::fs::Mode;

    use super::*;
    use crate::announce::Scope;

    fn config(folder: &Path) -> Config {
        Config {
            hostname: "lamp".into(),
            uuid: "abcdef0123456789abcdef0123456789".into(),
            device_type: "a<b&c".into(),
            arch: "aarch64".into(),
            os_version: "os 1.0.0".into(),
            agent_version: "0.1.0".into(),
            variant: "development".into(),
            api_port: 48484,
            ssh_port: Some(22222),
            ssh_fingerprint: Some("SHA256:APpVPH9KF5ufgbwwLiXZXeOJFIwQxtkJv6vmEITHnrc".into()),
            host_root: None,
            scope: Scope::All,
            avahi_services_dir: folder.to_owned(),
        }
    }

    #[test]
    fn the_file_is_there_as_long_as_we_are() {
        let folder = tempfile::tempdir().unwrap();
        // As systemd gives it to the agent.
        let before = rustix::process::umask(Mode::from_raw_mode(0o077));
        let publication = Publication::write(&config(folder.path())).unwrap();
        rustix::process::umask(before);
        let text = fs_err::read_to_string(folder.path().join(FILE)).unwrap();
        let mode = fs_err::metadata(folder.path().join(FILE)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o644, "whatever the umask");
        for part in [
            "<type>_osdev._tcp</type>",
            "<txt-record>dt=a&lt;b&amp;c</txt-record>",
            "<subtype>_resin-device._sub._ssh._tcp</subtype>",
            "<port>22222</port>",
            "<txt-record>sshfp=SHA256:APpVPH9KF5ufgbwwLiXZXeOJFIwQxtkJv6vmEITHnrc</txt-record>",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        publication.withdraw();
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_the_system_publishes_already_is_not_published_twice() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = format!("<subtype>{SSH_SUBTYPE}</subtype>");
        fs_err::write(folder.path().join("ssh.service"), theirs).unwrap();
        let publication = Publication::write(&config(folder.path())).unwrap();
        let text = fs_err::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(
            text.contains(OWN_SERVICE) && !text.contains(SSH_SUBTYPE),
            "{text}"
        );
        publication.withdraw();
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error() {
        assert!(Publication::write(&config(Path::new("/nonexistent"))).is_err());
    }
}
