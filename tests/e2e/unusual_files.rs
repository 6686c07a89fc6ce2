//! Projects with many files, and with files that are not like others.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use testkit::{Device, Lan, Workstation};

use crate::projects::{running, single};

const PROJECT: i32 = 3;
const MANY: usize = 100_000;
/// Latin-1 for `è`, which UTF-8 never has alone.
const NOT_UTF8: &[u8] = b"caff\xe8";

#[tokio::test]
async fn a_hundred_thousand_files_and_names_of_any_bytes_arrive() {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    single(&workstation, "project");
    let project = workstation.home().join("project");
    for folder in 0..MANY / 1000 {
        let folder = project.join(format!("many/{folder}"));
        fs_err::create_dir_all(&folder).unwrap();
        for file in 0..1000 {
            fs_err::write(folder.join(file.to_string()), []).unwrap();
        }
    }
    fs_err::write(project.join(OsStr::from_bytes(NOT_UTF8)), "strange\n").unwrap();
    // The engine copies only a few: unpacking all of them is enough of its time.
    workstation.write(
        "project/Dockerfile",
        "FROM os-test/busybox\nWORKDIR /app\nCOPY run.sh message caff* /app/\n\
         RUN grep strange \"$(printf 'caff\\350')\"\nCMD [\"sh\", \"run.sh\"]\n",
    );
    let push = [
        "push",
        "10.88.7.1",
        "--source",
        "project",
        "--detached",
        "--verbose",
    ];
    let first = workstation.os(&push).await;
    first.success();
    let files = format!("{} files", MANY + 4);
    assert!(first.stderr.contains(&files), "{first}");
    assert_eq!(running(&device.engine).await.len(), 1);
    let again = workstation.os(&push).await;
    again.success();
    assert!(again.stderr.contains("nothing changed"), "{again}");
}

#[tokio::test]
async fn a_file_that_may_not_be_read_is_named_unless_it_is_ignored() {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let mut workstation = Workstation::new(Some(&lan));
    single(&workstation, "project");
    let secret = workstation.write("project/secret", "for root only");
    fs_err::set_permissions(&secret, PermissionsExt::from_mode(0o000)).unwrap();
    // Root reads everything, so somebody else pushes.
    let home = workstation.home();
    let open = format!(
        "mkdir -p {home}/.cache {home}/.local && chown nobody {home} {home}/.cache {home}/.local",
        home = home.display()
    );
    workstation.machine.run("sh", &["-c", &open]);
    workstation.set("XDG_RUNTIME_DIR", "");
    let os = testkit::programs::built("os");
    let push = [
        "setpriv",
        "--reuid=nobody",
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
        os.to_str().unwrap(),
        "push",
        "10.88.7.1",
        "--source",
        "project",
        "--detached",
    ];
    let output = workstation.start_program(&push).output().await;
    assert_eq!(output.code, PROJECT, "{output}");
    assert!(
        output.stderr.contains("project/secret") && output.stderr.contains(".dockerignore"),
        "{output}"
    );
    assert!(running(&device.engine).await.is_empty());

    workstation.write("project/.dockerignore", "secret\n");
    workstation.start_program(&push).output().await.success();
    assert_eq!(running(&device.engine).await.len(), 1);
}
