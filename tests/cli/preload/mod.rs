//! `os preload`: images of containers in an image of a device, with a real engine.

mod damaged;
mod ends;
mod project;
mod refusals;
mod release;

use std::path::{Path, PathBuf};
use std::process::Command;

use bollard::Docker;
use testkit::{Engine, Namespace, Workstation};

use crate::disks::run;

const BUILD: i32 = 5;
const INTERRUPTED: i32 = 130;
const MIB: usize = 1024 * 1024;
const SECTOR: usize = 512;
/// MiB of the partitions, and where they begin.
const BOOT: (usize, usize) = (4, 16);
const DATA: (usize, usize) = (40, 8);
const UUID: &str = "5eee5eee5eee5eee5eee5eee5eee5eee";

/// An image with boot, root, state and data, in a folder of its own.
struct Image {
    dir: tempfile::TempDir,
}

impl Image {
    fn new(is_gpt: bool, arch: &str) -> Self {
        Self::longer(is_gpt, arch, 0)
    }

    /// With so many MiB behind the data partition that belong to none.
    fn longer(is_gpt: bool, arch: &str, behind: usize) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let image = Self { dir };
        let boot = image.part("boot", BOOT.1);
        run("mkfs.vfat", &["-F", "16", "-n", "resin-boot", &boot]);
        let text = format!(r#"{{"slug":"generic-{arch}","arch":"{arch}"}}"#);
        let device_type = image.file("device-type.json");
        fs_err::write(&device_type, text).unwrap();
        run("mcopy", &["-i", &boot, &device_type, "::device-type.json"]);
        let data = image.part("data", DATA.1);
        run("mke2fs", &["-q", "-t", "ext4", "-L", "resin-data", &data]);
        let state = image.part("state", 4);
        run("mke2fs", &["-q", "-t", "ext4", "-L", "resin-state", &state]);
        let disk = fs_err::File::create(image.path()).unwrap();
        let tail = behind + usize::from(is_gpt);
        disk.set_len(u64::try_from((DATA.0 + DATA.1 + tail) * MIB).unwrap())
            .unwrap();
        let script = if is_gpt {
            "label: gpt\nstart=4MiB,size=16MiB,name=resin-boot\nstart=20MiB,size=8MiB\nstart=32MiB,size=4MiB\nstart=40MiB,size=8MiB\n"
        } else {
            "label: dos\nstart=4MiB,size=16MiB,type=c\nstart=20MiB,size=8MiB\nstart=28MiB,size=20MiB,type=f\nstart=32MiB,size=4MiB\nstart=40MiB,size=8MiB\n"
        };
        image.table(script);
        for (name, at) in [("boot", BOOT.0), ("state", 32), ("data", DATA.0)] {
            image.put(&image.file(name), at);
        }
        for name in ["boot", "state", "data", "device-type.json"] {
            fs_err::remove_file(image.file(name)).unwrap();
        }
        image
    }

    fn file(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// An empty file of so many MiB.
    fn part(&self, name: &str, mib: usize) -> String {
        let path = self.file(name);
        let file = fs_err::File::create(&path).unwrap();
        file.set_len(u64::try_from(mib * MIB).unwrap()).unwrap();
        path
    }

    fn put(&self, part: &str, at: usize) {
        let (from, to) = (format!("if={part}"), format!("of={}", self.name()));
        let seek = format!("seek={at}");
        run(
            "dd",
            &[&from, &to, "bs=1M", &seek, "conv=notrunc", "status=none"],
        );
    }

    fn table(&self, script: &str) {
        let file = self.file("script");
        fs_err::write(&file, script).unwrap();
        let made = Command::new("sfdisk")
            .args(["-q", "--wipe", "never", &self.name()])
            .stdin(fs_err::File::open(&file).unwrap().into_parts().0)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        fs_err::remove_file(file).unwrap();
    }

    /// Makes the data partition anew, with this file in it.
    fn data(&self, mib: usize, file: &str, bytes: &[u8]) {
        let content = self.file("content");
        let there = Path::new(&content).join(file);
        fs_err::create_dir_all(there.parent().unwrap()).unwrap();
        fs_err::write(there, bytes).unwrap();
        let data = self.part("data", mib);
        run(
            "mke2fs",
            &[
                "-q",
                "-t",
                "ext4",
                "-L",
                "resin-data",
                "-d",
                &content,
                &data,
            ],
        );
        self.put(&data, DATA.0);
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("os.img")
    }

    fn name(&self) -> String {
        self.path().display().to_string()
    }

    fn bytes(&self) -> Vec<u8> {
        fs_err::read(self.path()).unwrap()
    }

    /// Nothing but the image is in its folder.
    #[track_caller]
    fn is_alone(&self) {
        let found: Vec<_> = fs_err::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(found, ["os.img"]);
    }
}

/// What others find on a disk.
struct Found {
    /// Sectors of the data partition.
    sectors: u64,
    dir: tempfile::TempDir,
}

impl Found {
    /// Table and file system are sound.
    #[track_caller]
    fn on(disk: &str, is_gpt: bool) -> Self {
        run("sfdisk", &["--verify", "-q", disk]);
        let told = String::from_utf8(run("sfdisk", &["--json", disk])).unwrap();
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        let partitions = told["partitiontable"]["partitions"].as_array().unwrap();
        let data = partitions.last().unwrap();
        assert_eq!(data["start"], DATA.0 * MIB / SECTOR);
        let node = data["node"].as_str().unwrap();
        assert!(node.ends_with(if is_gpt { "4" } else { "6" }), "{node}");
        let sectors = data["size"].as_u64().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let found = Self { sectors, dir };
        let bytes = fs_err::read(disk).unwrap();
        let start = DATA.0 * MIB;
        let size = usize::try_from(sectors).unwrap() * SECTOR;
        fs_err::write(found.system(), &bytes[start..start + size]).unwrap();
        run("e2fsck", &["-fn", &found.system()]);
        found
    }

    fn system(&self) -> String {
        self.dir.path().join("data").display().to_string()
    }

    fn debugfs(&self, command: &str) -> String {
        let told = run("debugfs", &["-R", command, &self.system()]);
        String::from_utf8(told).unwrap()
    }

    fn file(&self, path: &str) -> Vec<u8> {
        let to = self.dir.path().join("out");
        drop(fs_err::remove_file(&to));
        self.debugfs(&format!("dump {path} {}", to.display()));
        fs_err::read(to).unwrap()
    }

    fn has_mark(&self) -> bool {
        self.debugfs("ls -p /").contains("/remove_me_to_reset/")
    }
}

/// A workstation with a project of two services, and an engine beside it.
struct Place {
    workstation: Workstation,
    engine: Engine,
    _machine: Namespace,
}

impl Place {
    async fn new() -> Self {
        let (machine, engine) = Engine::on_a_machine().await;
        let workstation = Workstation::new(None);
        workstation.write(
            "project/docker-compose.yml",
            "services:\n  web:\n    build: web\n    command: [sleep, '1']\n    environment: [COLOUR=blue]\n  api:\n    build: api\n",
        );
        for service in ["web", "api"] {
            let file = format!("project/{service}/Dockerfile");
            workstation.write(file, "FROM os-test/busybox\nCOPY note /note\n");
            workstation.write(format!("project/{service}/note"), service);
        }
        Self {
            workstation,
            engine,
            _machine: machine,
        }
    }

    fn arguments<'a>(image: &'a str, socket: &'a str) -> Vec<&'a str> {
        vec!["preload", image, "project", "--docker", socket]
    }

    async fn preload(&self, image: &str, more: &[&str]) -> testkit::workstation::Output {
        let socket = self.engine.socket().display().to_string();
        let arguments = [&Self::arguments(image, &socket)[..], more].concat();
        self.workstation.os(&arguments).await
    }
}

async fn id(engine: &Docker, image: &str) -> String {
    let found = engine.inspect_image(image).await.expect("the image");
    found.id.expect("its id")
}
