//! Each call by which a download writes fails once, or is the last one of its process: the image that stood there stays or the new one stands there,
//! and what is kept makes the next one neither fail nor wrong.

use testkit::distribution::{Fate, Served};
use testkit::{Distribution, Workstation};

use super::{image, image_is, noise};

const AT: &str = "127.0.0.1:8080";
/// How the system is asked to write, and what it may answer.
const CALLS: [(&str, &str); 8] = [
    ("pwrite64", "ENOSPC"),
    ("write", "ENOSPC"),
    ("fdatasync", "EIO"),
    ("fsync", "EIO"),
    ("ftruncate", "EIO"),
    ("rename", "ENOSPC"),
    ("linkat", "ENOSPC"),
    ("unlink", "EIO"),
];
/// Calls of one kind and thread that one download makes, at most.
const MOST: usize = 60;

/// A call, and what becomes of it.
struct Case<'a> {
    workstation: &'a Workstation,
    server: &'a Distribution,
    bytes: &'a [u8],
    call: &'a str,
    how: &'a str,
    comes_in_parts: bool,
}

impl Case<'_> {
    /// A download whose `count`th call of this kind fails; whether there was one.
    async fn fails(&self, count: usize) -> bool {
        let workstation = self.workstation;
        let what = format!(
            "{} {} {count}, in parts: {}",
            self.call, self.how, self.comes_in_parts
        );
        let url = self.server.url("os.img");
        workstation.write("os.img", "old");
        self.server.put("os.img", Served::new(self.bytes.to_vec()));
        if self.comes_in_parts {
            let gone = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
            let refused = Fate::Says(gone.to_owned());
            let fates = [
                Fate::Cut(30_000),
                refused.clone(),
                Fate::Cut(20_000),
                refused,
            ];
            self.server.fate("os.img", fates);
            let first = workstation.os(&["download", &url, "--force"]).await;
            assert_eq!(first.code, 1, "{first}");
        }
        let os = testkit::programs::built("os");
        let trace = format!("trace={}", self.call);
        let inject = format!("inject={}:{}:when={count}", self.call, self.how);
        let mut program = vec![
            "strace", "-f", "-qq", "-o", "calls", "-e", &trace, "-e", &inject,
        ];
        program.extend([os.to_str().expect("a path"), "download", &url, "--force"]);
        let output = workstation.start_program(&program).output().await;
        let calls = fs_err::read_to_string(workstation.home().join("calls"));
        let calls = calls.expect("what strace saw");
        let was = calls.contains("(INJECTED)") || calls.contains("killed by SIGKILL");
        let found = fs_err::read(image(workstation)).expect("an image");
        assert!(found == b"old" || found == self.bytes, "{what}: a mix");
        assert!(output.code != 0 || found != b"old", "{what}: {output}");
        self.server.fate("os.img", []);
        let next = workstation.os(&["download", &url, "--force"]).await;
        assert_eq!(next.code, 0, "{what}: {next}");
        image_is(workstation, self.bytes);
        assert_eq!(
            left_in_rooms(workstation),
            ["about.json", "image"],
            "{what}"
        );
        workstation.os(&["cache", "clean"]).await.success();
        was
    }
}

#[tokio::test]
async fn whatever_fails_the_old_image_stands_there_or_the_new_one() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(70_000, 1);
    for (call, error) in CALLS {
        let error = format!("error={error}");
        let ways = [
            (&*error, false),
            (&*error, true),
            ("signal=KILL", false),
            ("signal=KILL", true),
        ];
        for (how, comes_in_parts) in ways {
            // What is written of a part is put at its place by the calls that are tried.
            if comes_in_parts && ["write", "fsync", "ftruncate", "unlink"].contains(&call) {
                continue;
            }
            let case = Case {
                workstation: &workstation,
                server: &server,
                bytes: &bytes,
                call,
                how,
                comes_in_parts,
            };
            let mut count = 1;
            while case.fails(count).await {
                count += 1;
                assert!(count < MOST, "{call} has no end");
            }
        }
    }
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
