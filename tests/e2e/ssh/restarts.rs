//! `os cp` with a device that loses its power in the middle: no end of the connection is heard, and all that ran there is gone.

use super::lan_bytes;
use testkit::{
    Lan, Namespace, Sshd, Workstation,
    lan::Address,
    programs::built,
    until,
    workstation::{Output, Running},
};

/// Bytes of the large file, up to where it has come when the power goes, and how much may be sent of all: the small files are as much again
/// as a half of it at most, and each cut loses what was on its way.
const LARGE: u64 = 100_000_000;
const CUT: u64 = 60_000_000;
const MOST: u64 = LARGE + 40_000_000 + 40_000_000;

struct Device {
    lan: Lan,
    machine: Namespace,
    address: Address,
    server: Sshd,
    workstation: Workstation,
}

impl Device {
    /// With a folder `src` in the home, and small files in three folders: some batches, and a large file after them.
    async fn new() -> Self {
        let lan = Lan::new();
        let machine = Namespace::new();
        let address = lan.join(&machine);
        let server = Sshd::start(&machine, "").await;
        let mut workstation = Workstation::new(Some(&lan));
        workstation.set("OS", built("os").to_str().expect("a path"));
        let device = Self {
            lan,
            machine,
            address,
            server,
            workstation,
        };
        let make = format!(
            "set -e; ssh-keygen -q -t ed25519 -N '' -f key; mkdir -p src/a/b src/c src/empty
             for n in $(seq 1200); do head -c 20000 /dev/urandom >src/a/$n; done; for n in $(seq 800); do head -c 20000 /dev/urandom >src/a/b/$n; done
             head -c {LARGE} /dev/urandom >src/c/large; ln -s ../a src/c/link; chmod 500 src/a/b; touch -d @1000000000 src/a/* src/c/* src/a src/c src"
        );
        device.sh(&make).await.success();
        let key = device.workstation.home().join("key.pub");
        device.server.authorize(&key);
        device
    }

    async fn sh(&self, script: &str) -> Output {
        let program = ["bash", "-c", script];
        self.workstation.start_program(&program).output().await
    }

    fn at(&self, name: &str) -> String {
        format!("{}:{}", self.address.v4, self.path(name))
    }

    fn path(&self, name: &str) -> String {
        self.workstation.home().join(name).display().to_string()
    }

    fn copy(&self, from: &str, to: &str) -> Running {
        let words = ["cp", "--accept-host-key", "-i", "key", from, to];
        self.workstation.start(&words)
    }

    /// Switches it off: nobody is told.
    async fn off(&self) {
        self.lan.unplug(self.address);
        self.server.cut(&self.machine).await;
        // Not `cat`, by one of which the machine itself lives.
        let mut rest = self.machine.command("pkill");
        let _none = rest.args(["-KILL", "-x", "head|tail|tar"]).status();
    }

    async fn on(&mut self) {
        self.server.start_again(&self.machine).await;
        self.lan.replug(self.address);
    }

    /// What has its name is whole, and the large one has none.
    async fn nothing_is_half(&self, folder: &str) {
        let script = format!(
            "[ ! -e {folder}/c/large ] || exit 9; cd {folder}; find . -name '.*os-part*' -prune -o -type f -print |
             while read -r name; do cmp \"$name\" ../src/\"$name\" || exit 1; done"
        );
        self.sh(&script).await.success();
    }

    async fn is_there(&self, folder: &str) {
        let script = format!(
            "rsync -rlptn --itemize-changes --checksum --delete src/ {folder}/; find {folder} -name '*os-part*'"
        );
        let output = self.sh(&script).await;
        assert_eq!(output.stdout, "", "{output}");
    }
}

/// Bytes of what has arrived of the large file.
fn arrived(folder: &str) -> Option<u64> {
    let names = fs_err::read_dir(format!("{folder}/c")).ok()?;
    names
        .flatten()
        .filter(|name| name.path().extension().is_some_and(|end| end == "os-part"))
        .find_map(|name| Some(name.metadata().ok()?.len()))
}

/// It goes away with the small files and with the large one, is waited for, and no more is sent again than was on its way.
async fn goes_away_and_comes_back(mut device: Device, from: &str, to: &str, folder: &str) {
    let (before, at) = (lan_bytes(&device.machine), device.path(folder));
    let running = device.copy(from, to);
    until("some files are there", async || {
        let names = fs_err::read_dir(format!("{at}/a")).ok()?;
        let is_whole = |name: &fs_err::DirEntry| !name.path().to_string_lossy().contains("os-part");
        names.flatten().any(|name| is_whole(&name)).then_some(())
    })
    .await;
    device.off().await;
    running.says("waiting for the device to be back").await;
    device.nothing_is_half(folder).await;
    device.on().await;

    until("much of the large file is there", async || {
        arrived(&at).filter(|&count| count > CUT)
    })
    .await;
    device.off().await;
    device.nothing_is_half(folder).await;
    // This time before anybody notices.
    device.on().await;
    let output = running.output().await;
    output.success();
    assert!(output.stderr.contains("goes on after"), "{output}");
    device.is_there(folder).await;
    let sent = lan_bytes(&device.machine) - before;
    assert!(sent < MOST, "{sent}");
}

#[tokio::test]
async fn a_folder_that_goes_to_a_device_that_restarts_is_whole_in_the_end() {
    let device = Device::new().await;
    let to = device.at("there");
    goes_away_and_comes_back(device, "src", &to, "there").await;
}

#[tokio::test]
async fn a_folder_that_comes_from_a_device_that_restarts_is_whole_in_the_end() {
    let device = Device::new().await;
    let from = device.at("src");
    goes_away_and_comes_back(device, &from, "back", "back").await;
}
