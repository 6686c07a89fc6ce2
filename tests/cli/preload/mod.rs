//! `os preload`: a project in an image, with a real engine, for disks of both kinds of tables.

use std::path::{Path, PathBuf};
use std::process::Command;

use bollard::query_parameters::{
    ImportImageOptionsBuilder, ListContainersOptions, RemoveImageOptions,
};
use bollard::{Docker, body_full};
use futures_util::TryStreamExt;
use testkit::{Device, Engine, Lan, Namespace, Workstation};

use crate::disks::run;

const USAGE: i32 = 2;
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

#[tokio::test]
async fn a_project_lies_in_the_data_partition_once_however_often_it_is_put_there() {
    let place = Place::new().await;
    let client = place.engine.client().await;
    for is_gpt in [false, true] {
        let image = Image::new(is_gpt, "amd64");
        let before = image.bytes();
        let done = place.preload(&image.name(), &["--json"]).await;
        done.success();
        let told: serde_json::Value = serde_json::from_str(&done.stdout).expect("one value");
        image.is_alone();
        let after = image.bytes();
        // The rest of the disk is as it was, but for the table's entries.
        let boot = BOOT.0 * MIB..(BOOT.0 + BOOT.1) * MIB;
        assert!(before[boot.clone()] == after[boot]);
        // Entries of logical partitions lie in front of these.
        let is_entry =
            |mib: usize| !is_gpt && ![20..28, 32..36].iter().any(|part| part.contains(&mib));
        let mut between = (BOOT.0 + BOOT.1) * MIB..DATA.0 * MIB;
        let other = between.find(|at| before[*at] != after[*at] && !is_entry(at / MIB));
        assert_eq!(other, None);
        let found = Found::on(&image.name(), is_gpt);
        assert!(found.sectors > u64::try_from(DATA.1 * MIB / SECTOR).unwrap());
        assert!(found.has_mark());
        let archive = found.file("/preload/images.tar");
        let length = archive.len();
        assert_eq!(
            told,
            serde_json::json!({
                "image": image.name(), "services": ["web", "api"], "archive": length, "partition": if is_gpt { 4 } else { 6 },
                "size_before": DATA.1 * MIB, "size": found.sectors * 512, "medium_at_least": after.len() + 2 * length,
            })
        );
        let told = place
            .workstation
            .os(&["image", "inspect", &image.name()])
            .await;
        let mut lines = told.stdout.lines();
        let line = lines.find(|line| line.starts_with("preloaded"));
        assert!(
            line.is_some_and(|line| line.contains("web") && line.contains("api")),
            "{told}"
        );
        // The agent takes it for its target.
        let apps = found.file("/apps.json");
        let target = os_agent::fuzz::preloaded(&apps, UUID).unwrap().unwrap();
        let app = &target.apps[&1];
        assert_eq!((app.uuid.as_str(), app.name.as_str()), ("1", "localapp"));
        let web = &app.services["web"];
        assert_eq!(web.image, "local_image_web:preloaded");
        assert_eq!(web.environment["COLOUR"], "blue");
        assert_eq!(
            web.composition["command"],
            serde_json::json!(["sleep", "1"])
        );
        assert!(app.services.contains_key("api"));
        // An engine takes the images.
        let names = ["local_image_web:preloaded", "local_image_api:preloaded"];
        let mut ids = Vec::new();
        for name in names {
            ids.push(id(&client, name).await);
            let removed = client.remove_image(name, None::<RemoveImageOptions>, None);
            removed.await.expect("a removal");
        }
        let options = ImportImageOptionsBuilder::default().build();
        let loaded: Vec<_> = client
            .import_image(options, body_full(archive.into()), None)
            .try_collect()
            .await
            .expect("images");
        assert!(!loaded.is_empty());
        for (name, before) in names.iter().zip(&ids) {
            assert_eq!(&id(&client, name).await, before);
        }
        // Once more it is the same.
        place.preload(&image.name(), &[]).await.success();
        let again = Found::on(&image.name(), is_gpt);
        assert_eq!(again.sectors, found.sectors);
        assert_eq!(again.file("/apps.json"), apps);
        let listed = again.debugfs("ls -p /preload");
        assert_eq!(listed.matches(".tar").count(), 1, "{listed}");
    }
}

#[tokio::test]
async fn another_file_may_be_the_new_image_and_what_is_there_is_kept() {
    let place = Place::new().await;
    let image = Image::new(true, "amd64");
    let before = image.bytes();
    let other = image.file("other.img");
    place
        .preload(&image.name(), &["-o", &other])
        .await
        .success();
    assert!(image.bytes() == before);
    Found::on(&other, true);
    let refused = place.preload(&image.name(), &["-o", &other]).await;
    assert_eq!(refused.code, USAGE, "{refused}");
}

#[tokio::test]
async fn a_kill_at_any_moment_leaves_the_old_image_and_nothing_beside_it() {
    let place = Place::new().await;
    let socket = place.engine.socket().display().to_string();
    let mut killed = 0;
    for moment in [
        "preparing the data",
        "writing the images",
        "reading them",
        "writing the image\n",
    ] {
        let image = Image::new(false, "amd64");
        let before = image.bytes();
        let name = image.name();
        let mut arguments = Place::arguments(&name, &socket);
        arguments.push("-v");
        let running = place.workstation.start(&arguments);
        running.says(moment).await;
        drop(running);
        // It may have been done by then.
        if image.bytes() == before {
            killed += 1;
        } else {
            Found::on(&name, false);
        }
        image.is_alone();
    }
    assert!(killed > 0, "none was killed before its end");
}

#[tokio::test]
async fn whoever_ends_it_is_told_that_the_image_is_as_it_was() {
    let place = Place::new().await;
    let socket = place.engine.socket().display().to_string();
    let image = Image::new(false, "amd64");
    let before = image.bytes();
    let name = image.name();
    let mut arguments = Place::arguments(&name, &socket);
    arguments.push("-v");
    let mut running = place.workstation.start_in_terminal(&arguments);
    running.shows("preparing the data").await;
    running.press("\x03");
    let ended = running.output().await;
    assert_eq!(ended.code, INTERRUPTED, "{ended}");
    assert!(ended.stdout.contains("the image is as it was"), "{ended}");
    assert!(image.bytes() == before);
    image.is_alone();
}

#[tokio::test]
async fn what_lies_behind_the_data_partition_stays_and_may_become_part_of_it() {
    let place = Place::new().await;
    for is_gpt in [false, true] {
        let image = Image::longer(is_gpt, "amd64", 300);
        let length = image.bytes().len();
        let at = length - 2 * MIB;
        let disk = fs_err::OpenOptions::new()
            .write(true)
            .open(image.path())
            .unwrap();
        std::os::unix::fs::FileExt::write_all_at(
            disk.file(),
            b"behind",
            u64::try_from(at).unwrap(),
        )
        .unwrap();
        place.preload(&image.name(), &[]).await.success();
        let found = Found::on(&image.name(), is_gpt);
        assert!(found.sectors > u64::try_from(DATA.1 * MIB / SECTOR).unwrap());
        let after = image.bytes();
        assert_eq!(after.len(), length);
        assert_eq!(after[at..at + 6], *b"behind");
    }
}

#[tokio::test]
async fn an_engine_that_is_lent_goes_on_with_what_it_runs() {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    let file = "FROM os-test/busybox\nCOPY note /note\nCMD [\"sleep\", \"1000000\"]\n";
    for project in ["one", "two"] {
        workstation.write(format!("{project}/Dockerfile"), file);
        workstation.write(format!("{project}/note"), project);
    }
    let push = ["push", "10.88.7.1", "--source", "one", "--detached"];
    workstation.os(&push).await.success();
    let client = device.engine.client().await;
    let pushed = id(&client, "local_image_main:latest").await;
    let running = async || {
        let listed = client.list_containers(None::<ListContainersOptions>).await;
        let ids = listed.unwrap().into_iter().map(|found| found.id);
        ids.collect::<Vec<_>>()
    };
    let before = running().await;
    assert_eq!(before.len(), 1);
    let image = Image::new(true, "amd64");
    let name = image.name();
    let preload = ["preload", &name, "two", "--on", "10.88.7.1"];
    workstation.os(&preload).await.success();
    assert_eq!(id(&client, "local_image_main:latest").await, pushed);
    let made = id(&client, "local_image_main:preloaded").await;
    assert_ne!(made, pushed);
    // The next push finds what it has left there.
    workstation.os(&push).await.success();
    assert_eq!(id(&client, "local_image_main:latest").await, pushed);
    assert_eq!(running().await, before);
}

#[tokio::test]
async fn images_for_another_processor_are_refused() {
    let place = Place::new().await;
    let image = Image::new(false, "aarch64");
    let before = image.bytes();
    let refused = place.preload(&image.name(), &[]).await;
    assert_eq!(refused.code, BUILD, "{refused}");
    assert!(
        refused.stderr.contains("amd64") && refused.stderr.contains("aarch64"),
        "{refused}"
    );
    assert!(refused.stderr.contains("--on DEVICE"), "{refused}");
    assert!(image.bytes() == before);
    place
        .preload(&image.name(), &["--dont-check-arch"])
        .await
        .success();
}

#[tokio::test]
async fn without_room_or_a_program_the_image_is_as_it_was() {
    let place = Place::new().await;
    let machine = &place.workstation.machine;
    let image = Image::new(false, "amd64");
    let small = machine.dir().join("small");
    fs_err::create_dir(&small).unwrap();
    let folder = small.display().to_string();
    machine.run(
        "mount",
        &["-t", "tmpfs", "-o", "size=80m", "tmpfs", &folder],
    );
    machine.run("cp", &["--sparse=always", &image.name(), &folder]);
    let there = small.join("os.img").display().to_string();
    let sum = || machine.run("sha256sum", &[&there]);
    let before = sum();
    // For the archive there is room, for the image that it is to be in there is none.
    let script =
        format!("head -c 90M /dev/urandom >{folder}/full || truncate -s -3M {folder}/full");
    machine.run("sh", &["-c", &script]);
    let full = place.preload(&there, &[]).await;
    assert_eq!(full.code, 1, "{full}");
    assert!(full.stderr.contains("bytes free, and it takes"), "{full}");
    assert_eq!(sum(), before);
    let more = format!("dd if=/dev/urandom of={folder}/more bs=64k; true");
    machine.run("sh", &["-c", &more]);
    let full = place.preload(&there, &[]).await;
    assert_eq!(full.code, 1, "{full}");
    assert!(full.stderr.contains("No space left"), "{full}");
    assert_eq!(sum(), before);

    let debugfs = ["/usr/sbin/debugfs", "/sbin/debugfs"];
    for path in debugfs.iter().filter(|path| Path::new(path).exists()) {
        machine.run("mount", &["--bind", "/dev/null", path]);
    }
    let before = image.bytes();
    let missing = place.preload(&image.name(), &[]).await;
    assert_eq!(missing.code, 1, "{missing}");
    assert!(
        missing.stderr.contains("`debugfs` is not on this machine"),
        "{missing}"
    );
    assert!(
        missing.stderr.contains("apt install e2fsprogs"),
        "{missing}"
    );
    assert!(image.bytes() == before);
}

#[tokio::test]
async fn what_cannot_be_preloaded_says_why() {
    let place = Place::new().await;
    let image = Image::new(true, "amd64");
    let packed = image.file("os.img.gz");
    fs_err::write(&packed, run("gzip", &["-c", &image.name()])).unwrap();
    let refused = place.preload(&packed, &[]).await;
    assert!(
        refused.code == 1 && refused.stderr.contains("is packed"),
        "{refused}"
    );
    // Something lies behind it, so that it cannot grow.
    let disk = fs_err::OpenOptions::new()
        .write(true)
        .open(image.path())
        .unwrap();
    disk.set_len(u64::try_from(70 * MIB).unwrap()).unwrap();
    image.table("label: gpt\nstart=4MiB,size=16MiB,name=resin-boot\nstart=32MiB,size=4MiB\nstart=40MiB,size=24MiB\nstart=64MiB,size=4MiB\n");
    image.data(24, "full", &vec![1; 18 * MIB]);
    let before = image.bytes();
    let refused = place.preload(&image.name(), &[]).await;
    assert!(
        refused.code == 1 && refused.stderr.contains("another partition lies behind it"),
        "{refused}"
    );
    assert!(image.bytes() == before);
    // With room in it that is no matter.
    let data = image.part("data", 24);
    run("mke2fs", &["-q", "-t", "ext4", "-L", "resin-data", &data]);
    image.put(&data, DATA.0);
    let before = image.bytes();
    place.preload(&image.name(), &[]).await.success();
    let after = image.bytes();
    let (start, end) = (DATA.0 * MIB, (DATA.0 + 24) * MIB);
    assert!(before[..start] == after[..start] && before[end..] == after[end..]);
}

#[tokio::test]
async fn an_image_that_a_device_has_run_from_is_refused_before_anything_is_built() {
    let place = Place::new().await;
    let image = Image::new(true, "amd64");
    image.data(DATA.1, "os-agent/state.json", b"{}");
    let before = image.bytes();
    let refused = place.preload(&image.name(), &[]).await;
    assert_eq!(refused.code, 1, "{refused}");
    assert!(
        refused.stderr.contains("a device has run from"),
        "{refused}"
    );
    assert!(!refused.stderr.contains("preloading"), "{refused}");
    assert!(image.bytes() == before);
}

#[tokio::test]
async fn an_image_that_cannot_be_changed_gets_a_preloaded_one_beside_it() {
    let place = Place::new().await;
    let image = Image::new(false, "amd64");
    // Nor has it anything to boot from.
    let boot = image.part("boot", BOOT.1);
    image.put(&boot, BOOT.0);
    let name = image.name();
    let machine = &place.workstation.machine;
    machine.run("mount", &["--bind", &name, &name]);
    machine.run("mount", &["-o", "remount,bind,ro", &name]);
    let refused = place.preload(&name, &[]).await;
    assert_eq!(refused.code, 1, "{refused}");
    assert!(!refused.stderr.contains("preloading"), "{refused}");
    let other = image.file("other.img");
    place.preload(&name, &["-o", &other]).await.success();
    Found::on(&other, false);
    let nowhere = image.file("nowhere/other.img");
    let refused = place.preload(&name, &["-o", &nowhere]).await;
    assert_eq!(refused.code, 1, "{refused}");
    assert!(
        refused.stderr.contains("cannot be written into"),
        "{refused}"
    );
    assert!(!refused.stderr.contains("preloading"), "{refused}");
}
