//! Each call by which a download writes fails once, or is the last one of its process: the image that stood there stays or the new one stands there,
//! and what is kept makes the next one neither fail nor wrong.

use std::collections::{BTreeMap, BTreeSet};

use testkit::distribution::{Fate, Served};
use testkit::tier::is_thorough;
use testkit::workstation::Output;
use testkit::{Distribution, Workstation};

use super::{image, image_is, noise};

const AT: &str = "127.0.0.1:8080";
/// How the system is asked to write, and what it may answer.
const CALLS: [(&str, &str); 8] = [
    ("pwrite64", "ENOSPC"),
    ("fdatasync", "EIO"),
    ("fsync", "EIO"),
    ("ftruncate", "EIO"),
    ("rename", "ENOSPC"),
    ("renameat", "ENOSPC"),
    ("linkat", "ENOSPC"),
    ("unlink", "EIO"),
];
/// Not of the sample: most of these wake another thread, so which one of them is of a file is another one each time.
const ALSO: (&str, &str) = ("write", "ENOSPC");
/// Calls of one kind and thread that one download makes, at most.
const MOST: usize = 60;

/// How much of the image is there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Has {
    Nothing,
    Parts,
    All,
}

/// A person, a server, and the image that it has.
struct Case {
    workstation: Workstation,
    server: Distribution,
    bytes: Vec<u8>,
    has: Has,
}

impl Case {
    fn new(has: Has) -> Self {
        let workstation = Workstation::new(None);
        let server = Distribution::start(&workstation.machine, AT);
        Self {
            workstation,
            server,
            bytes: noise(70_000, 1),
            has,
        }
    }

    /// As it is before the download that is looked at.
    async fn prepare(&self) {
        let cache = self.workstation.home().join(".cache");
        if cache.exists() {
            fs_err::remove_dir_all(cache).expect("a folder");
        }
        let url = self.server.url("os.img");
        self.server.put("os.img", Served::new(self.bytes.clone()));
        let code = match self.has {
            Has::Nothing => None,
            Has::Parts => {
                let gone = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
                let refused = Fate::Says(gone.to_owned());
                let cuts = [30_000, 20_000].map(Fate::Cut);
                let [first, second] = cuts.map(|cut| [cut, refused.clone()]);
                self.server.fate("os.img", [first, second].concat());
                Some(1)
            }
            Has::All => Some(0),
        };
        if let Some(code) = code {
            let first = self.workstation.os(&["download", &url, "--force"]).await;
            assert_eq!(first.code, code, "{first}");
        }
        self.workstation.write("os.img", "old");
    }

    /// A download under strace: how it ended, and what strace saw of it.
    async fn traced(&self, calls: &str, inject: &[&str]) -> (Output, String) {
        let os = testkit::programs::built("os");
        let (os, url) = (os.to_str().expect("a path"), self.server.url("os.img"));
        let trace = format!("trace={calls}");
        let mut program = vec!["strace", "-f", "-y", "-qq", "-o", "calls"];
        program.extend(["-e", &trace]);
        program.extend(inject);
        program.extend([os, "download", &url, "--force"]);
        let output = self.workstation.start_program(&program).output().await;
        let calls = fs_err::read_to_string(self.workstation.home().join("calls"));
        (output, calls.expect("what strace saw"))
    }

    /// The first calls of each kind in each place: how many of their kind their threads had made by then.
    async fn places(&self) -> BTreeMap<&'static str, BTreeSet<usize>> {
        self.prepare().await;
        let names: Vec<&str> = CALLS.iter().map(|(call, _)| *call).collect();
        let (_, seen) = self.traced(&names.join(","), &[]).await;
        let mut made: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let mut known = BTreeSet::new();
        let mut counts: BTreeMap<_, BTreeSet<usize>> = BTreeMap::new();
        for line in seen.lines() {
            let Some((thread, rest)) = line.split_once(' ') else {
                continue;
            };
            let called = CALLS.iter().find_map(|(call, _)| {
                let arguments = rest.trim_start().strip_prefix(call)?.strip_prefix('(')?;
                Some((*call, arguments))
            });
            let Some((call, arguments)) = called else {
                continue;
            };
            let count = made.entry((thread, call)).or_default();
            *count += 1;
            if known.insert((call, place(arguments))) {
                counts.entry(call).or_default().insert(*count);
            }
        }
        counts
    }

    /// A download whose `count`th call of this kind in a thread fails; whether there was one.
    async fn fails(&self, call: &str, how: &str, count: usize) -> bool {
        let what = format!("{call} {how} {count}, before: {:?}", self.has);
        self.prepare().await;
        let inject = format!("inject={call}:{how}:when={count}");
        let (output, calls) = self.traced(call, &["-e", &inject]).await;
        let was = calls.contains("(INJECTED)") || calls.contains("killed by SIGKILL");
        let found = fs_err::read(image(&self.workstation)).expect("an image");
        assert!(found == b"old" || found == self.bytes, "{what}: a mix");
        assert!(output.code != 0 || found != b"old", "{what}: {output}");
        self.server.fate("os.img", []);
        let url = self.server.url("os.img");
        let next = self.workstation.os(&["download", &url, "--force"]).await;
        assert_eq!(next.code, 0, "{what}: {next}");
        image_is(&self.workstation, &self.bytes);
        let left = left_in_rooms(&self.workstation);
        assert_eq!(left, ["about.json", "image"], "{what}");
        let left = left_beside(&self.workstation);
        assert!(left.is_empty(), "{what}: {left:?}");
        was
    }

    /// Those that were tried; all there are, or the first ones in each place.
    async fn tried(&self) -> BTreeSet<&'static str> {
        let mut tried = BTreeSet::new();
        let places = self.places().await;
        let also = is_thorough().then_some(ALSO);
        for (call, error) in CALLS.into_iter().chain(also) {
            let error = format!("error={error}");
            for how in [&*error, "signal=KILL"] {
                let counts = places.get(call).cloned().unwrap_or_default();
                let all = (1..=MOST).filter(|count| is_thorough() || counts.contains(count));
                for count in all {
                    if self.fails(call, how, count).await {
                        tried.insert(call);
                    } else if is_thorough() {
                        break;
                    }
                    assert!(count < MOST, "{call} has no end");
                }
            }
        }
        tried
    }
}

/// Where a call writes: the file's name without what is another one each time.
fn place(arguments: &str) -> String {
    let path = if arguments.starts_with(|first: char| first.is_ascii_digit()) {
        arguments.split(['<', '>']).nth(1)
    } else {
        arguments.rsplit('"').nth(1)
    };
    let path = path.unwrap_or_default();
    let (folder, name) = path.rsplit_once('/').unwrap_or_default();
    match name {
        name if name.starts_with(['#', '.']) => format!("{folder}/nameless"),
        name => name.to_owned(),
    }
}

#[tokio::test]
async fn whatever_fails_the_old_image_stands_there_or_the_new_one() {
    let tried = Case::new(Has::Nothing).tried().await;
    for (call, _) in CALLS {
        assert!(tried.contains(call), "{call} was not tried: {tried:?}");
    }
}

#[tokio::test]
async fn whatever_fails_of_the_rest_of_an_image_the_next_one_is_right() {
    let tried = Case::new(Has::Parts).tried().await;
    for call in ["pwrite64", "fdatasync", "renameat", "linkat"] {
        assert!(tried.contains(call), "{call} was not tried: {tried:?}");
    }
}

#[tokio::test]
async fn whatever_fails_of_an_image_that_was_fetched_before_it_stays_in_the_cache() {
    let tried = Case::new(Has::All).tried().await;
    for call in ["pwrite64", "fsync", "renameat", "linkat"] {
        assert!(tried.contains(call), "{call} was not tried: {tried:?}");
    }
}

/// What lies beside the image that is called as nothing of a person.
fn left_beside(workstation: &Workstation) -> Vec<String> {
    let listed = fs_err::read_dir(workstation.home()).expect("a folder");
    let names = listed.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with(".os-"))
        .collect()
}

/// What lies in the folders of the cache.
fn left_in_rooms(workstation: &Workstation) -> Vec<String> {
    let listed = fs_err::read_dir(workstation.home().join(".cache/os/images")).expect("a cache");
    let rooms = listed.map(|entry| entry.expect("an entry").path());
    let files = rooms
        .filter(|room| room.is_dir())
        .flat_map(|room| fs_err::read_dir(room).expect("a folder"));
    let mut names: Vec<String> = files
        .map(|file| {
            file.expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_full_disk_is_named_and_costs_nothing_but_time() {
    let mut workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(3_000_000, 2);
    server.put("os.img", Served::new(bytes.clone()));
    let url = server.url("os.img");
    let shell = |line: &str| workstation.machine.run("sh", &["-c", line]);
    shell("mkdir home/small && mount -t tmpfs -o size=1000k none home/small");
    let small = workstation.home().join("small");
    let cache = small.to_str().expect("a path").to_owned();
    workstation.set("XDG_CACHE_HOME", &cache);
    for size in ["8k", "1000k", "2900k"] {
        let line = format!("mount -o remount,size={size} home/small");
        workstation.machine.run("sh", &["-c", &line]);
        let output = workstation.os(&["download", &url]).await;
        assert_eq!(output.code, 1, "{size}: {output}");
        assert!(
            output.stderr.contains(&format!("{cache}/os/images"))
                && output.stderr.contains("os cache clean"),
            "{output}"
        );
        super::nothing_is_there(&workstation);
    }
    let line = "mount -o remount,size=10000k home/small";
    workstation.machine.run("sh", &["-c", line]);
    workstation.os(&["download", &url]).await.success();
    image_is(&workstation, &bytes);
}
