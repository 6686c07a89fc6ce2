//! Where an image is put: the content before, or the whole image, and nothing beside it.

use std::time::Duration;

use testkit::distribution::{Fate, Served};
use testkit::{Distribution, Workstation, until};

use super::{image, image_is, noise, nothing_is_there};

const AT: &str = "127.0.0.1:8080";

#[tokio::test]
async fn what_cannot_be_written_is_said_before_all_has_come() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let stalls = (0..9).map(|_| Fate::Stall(2_000_000));
    server.put("os.img", Served::new(noise(4_000_000, 1)).fated(stalls));
    let url = server.url("os.img");
    workstation.machine.run(
        "sh",
        &[
            "-c",
            "mkdir home/full && mount -t tmpfs -o size=1000k none home/full",
        ],
    );
    for (to, size) in [
        ("none/os.img", "64GB"),
        ("full/os.img", "64GB"),
        ("os.img", "1MB"),
    ] {
        let arguments = ["download", &url, "-o", to, "--max-size", size];
        let ended = tokio::time::timeout(Duration::from_secs(20), workstation.os(&arguments)).await;
        let output = ended.expect("an end before the server has had enough");
        assert_eq!(output.code, 1, "{output}");
        let why = if to == "os.img" { "--max-size" } else { to };
        assert!(output.stderr.contains(why), "{output}");
    }
    nothing_is_there(&workstation);
}

#[tokio::test]
async fn what_appears_meanwhile_is_not_replaced() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(1_000_000, 2);
    server.put(
        "os.img",
        Served::new(bytes.clone()).fated([Fate::Stall(300_000)]),
    );
    let url = server.url("os.img");
    let running = workstation.start(&["download", &url, "--patience", "2"]);
    until("it is asked", async || {
        (!server.asked("os.img").is_empty()).then_some(())
    })
    .await;
    fs_err::write(image(&workstation), "mine").expect("a file");
    let output = running.output().await;
    assert_eq!(output.code, 2, "{output}");
    assert!(output.stderr.contains("--force"), "{output}");
    image_is(&workstation, b"mine");
    workstation
        .os(&["download", &url, "--force"])
        .await
        .success();
    image_is(&workstation, &bytes);
}

#[tokio::test]
async fn who_is_killed_leaves_nothing_beside_it() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let stall = [Fate::Stall(3_000_000)];
    server.put("os.img", Served::new(noise(4_000_000, 3)).fated(stall));
    let os = testkit::programs::built("os");
    let line = format!(
        "{} download {} & echo $! >pid; wait",
        os.display(),
        server.url("os.img")
    );
    let running = workstation.start_program(&["sh", "-c", &line]);
    // What has come, and what of it is unpacked: in blocks.
    let is_written = "sizes=$(stat -L -c %s /proc/$(cat home/pid)/fd/* 2>/dev/null); \
                      echo $sizes | grep -q 3000000 && echo $sizes | grep -q 2097152";
    until("both files have what came", async || {
        let mut test = workstation.machine.command("sh");
        test.args(["-c", is_written])
            .status()
            .ok()?
            .success()
            .then_some(())
    })
    .await;
    workstation
        .machine
        .run("sh", &["-c", "kill -9 $(cat home/pid)"]);
    running.output().await;
    nothing_is_there(&workstation);
}

/// As on a file system that has no files without a name.
#[tokio::test]
async fn what_has_a_name_of_its_own_goes_when_nobody_works_on_it_any_more() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(4_000_000, 4);
    let stall = [Fate::Stall(3_000_000)];
    server.put("os.img", Served::new(bytes.clone()).fated(stall));
    server.put("other.img", Served::new(bytes));
    let folder = workstation.home().join("to");
    fs_err::create_dir(&folder).expect("a folder");
    let to = folder.to_str().expect("a path");
    let left = || {
        let listed = fs_err::read_dir(&folder).expect("a folder");
        let names = listed.map(|entry| entry.expect("an entry").file_name());
        let is_left = |name: &std::ffi::OsString| name.to_string_lossy().starts_with(".os-image-");
        names.filter(is_left).count()
    };
    // The folder is opened to be looked through, and then for the file.
    let line = format!(
        "strace -f -qq -o calls -P {to} -e trace=openat -e inject=openat:error=EOPNOTSUPP:when=2 {} download {} -o {to} & \
         echo $! >pid; wait",
        testkit::programs::built("os").display(),
        server.url("os.img")
    );
    let running = workstation.start_program(&["sh", "-c", &line]);
    until("there is one with a name", async || {
        (left() == 1).then_some(())
    })
    .await;
    let url = server.url("other.img");
    let other = ["download", &url, "-o", to, "--force"];
    workstation.os(&other).await.success();
    assert_eq!(left(), 1);
    workstation
        .machine
        .run("sh", &["-c", "pkill -9 -P $(cat home/pid)"]);
    running.output().await;
    assert_eq!(left(), 1);
    workstation.os(&other).await.success();
    assert_eq!(left(), 0);
}

#[tokio::test]
async fn what_a_link_leads_to_is_replaced_and_is_read_by_whom_it_was() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(100_000, 5);
    server.put("os.img", Served::new(bytes.clone()));
    let url = server.url("os.img");
    let meant = workstation.write("elsewhere", "before");
    let secret = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs_err::set_permissions(&meant, secret).expect("its rights");
    let link = workstation.home().join("link");
    std::os::unix::fs::symlink("elsewhere", &link).expect("a link");
    let to_it = ["download", &url, "-o", "link", "--force"];
    workstation.os(&to_it).await.success();
    assert!(fs_err::read(&meant).expect("a file") == bytes);
    assert!(link.is_symlink());
    let rights = fs_err::metadata(&meant).expect("a file").permissions();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&rights) & 0o777,
        0o600
    );
    fs_err::remove_file(&meant).expect("a file");
    let nowhere = workstation.os(&to_it).await;
    assert_eq!(nowhere.code, 2, "{nowhere}");
    assert!(nowhere.stderr.contains("leads to no file"), "{nowhere}");
}

#[tokio::test]
async fn a_terminal_gets_no_image_and_a_server_of_an_address_no_token() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    server.put("os.img", Served::new(noise(100_000, 6)));
    let url = server.url("os.img");
    let to_it = workstation.start_in_terminal(&["download", &url, "-o", "-"]);
    let output = to_it.output().await;
    assert_eq!(output.code, 2, "{output}");
    workstation.write("token", "geheim\n");
    let with = ["download", &url, "--token-file", "token"];
    let output = workstation.os(&with).await;
    assert_eq!(output.code, 2, "{output}");
    assert!(output.stderr.contains("USER:PASSWORD@"), "{output}");
    assert!(server.asked("os.img").is_empty());
}
