//! Keys of people, and containers of the smallest kind.

use std::path::PathBuf;
use std::process::Command;

use testkit::LightDevice;

/// A key of a person.
#[derive(Debug)]
pub(crate) struct Key {
    folder: tempfile::TempDir,
}

impl Key {
    pub(crate) fn new(kind: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", kind, "-N", "", "-C", "a person", "-f"])
            .arg(folder.path().join("key"))
            .status();
        assert!(made.expect("ssh-keygen").success());
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    /// The public half.
    pub(crate) fn line(&self) -> String {
        let text = fs_err::read_to_string(self.file().with_extension("pub"));
        text.expect("a public key").trim().to_owned()
    }

    /// Arguments of `ssh`.
    pub(crate) fn options(&self) -> [&str; 4] {
        let file = self.folder.path().to_str().expect("a path");
        // Leaked: a test has a handful of them.
        let file: &'static str = Box::leak(format!("{file}/key").into_boxed_str());
        ["-i", file, "-o", "IdentitiesOnly=yes"]
    }
}

/// Runs a container that lasts, of an image made of Debian's busybox.
pub(crate) fn run_container(device: &LightDevice, name: &str) {
    load_image(device);
    device.sh(&format!(
        "docker run --detach --name {name} --restart always os-test/busybox sh -c 'trap \"exit 0\" TERM; while :; do sleep 1; done'"
    ));
}

/// Puts the image `os-test/busybox` into the engine, unless it is there.
pub(crate) fn load_image(device: &LightDevice) {
    if device.holds("docker image inspect os-test/busybox") {
        return;
    }
    let place = device.partition("state").join("busybox.tar");
    let work = tempfile::tempdir().expect("a folder");
    let bin = work.path().join("bin");
    fs_err::create_dir(&bin).expect("a folder");
    fs_err::copy("/bin/busybox", bin.join("busybox")).expect("busybox");
    for applet in ["sh", "sleep", "cat", "echo", "nslookup", "date"] {
        std::os::unix::fs::symlink("busybox", bin.join(applet)).expect("a link");
    }
    let packed = Command::new("tar")
        .arg("-C")
        .arg(work.path())
        .arg("-cf")
        .arg(&place)
        .arg("bin")
        .status();
    assert!(packed.expect("tar").success());
    device.sh("docker import /mnt/state/busybox.tar os-test/busybox >/dev/null && rm /mnt/state/busybox.tar");
}
