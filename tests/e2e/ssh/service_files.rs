//! `os cp` to and from the containers of services, with a shell and without one.

use testkit::{Device, Lan, Sshd, Workstation, programs::built, until};

use super::lan_bytes;
use crate::projects::compose;

const IP: &str = "10.88.7.1";
/// A service that has nothing but what it runs.
const BARE: &str = "FROM os-test/busybox\nFROM scratch\nCOPY --from=0 /bin/busybox /sleep\nCOPY message /message\nCMD [\"/sleep\", \"1000000\"]\n";

/// A device with an SSH server and its services pushed, and a workstation that has the key `key`.
async fn pushed(lan: &Lan, project: impl FnOnce(&Workstation)) -> (Device, Sshd, Workstation) {
    let device = Device::start_with(Some(lan), |_| ()).await;
    let mut workstation = Workstation::new(Some(lan));
    project(&workstation);
    let push = ["push", IP, "--source", "project", "--detached"];
    workstation.os(&push).await.success();
    workstation.set("OS", built("os").to_str().expect("a path"));
    let server = Sshd::start(&device.machine, "").await;
    let key = workstation.home().join("key");
    let path = key.display().to_string();
    let make = ["-q", "-t", "ed25519", "-N", "", "-f", &path];
    workstation.machine.run("ssh-keygen", &make);
    server.authorize(&key.with_extension("pub"));
    let socket = device.engine.socket().display().to_string();
    let engine = ["-sfn", &socket, "/run/docker.sock"];
    device.machine.run("ln", &engine);
    (device, server, workstation)
}

#[tokio::test]
async fn files_go_into_containers_and_come_back_as_they_were() {
    let lan = Lan::new();
    let (_device, _server, workstation) = pushed(&lan, |workstation| {
        compose(workstation, "project");
        workstation.write("project/web/Dockerfile", BARE);
    })
    .await;

    for (service, home) in [("worker", "/app/"), ("web", "")] {
        let there = format!("{IP}:{service}");
        let script = format!(
            "set -e; cp() {{ \"$OS\" cp -q --accept-host-key -i key \"$@\"; }}; rm -rf src back; mkdir -p src/d/e src/empty back
             echo hi >src/a; : >src/zero; printf x >'src/sp ace'; printf y >$'src/nl\\nx'; printf z >$'src/d/\\xff\\xfe'; chmod 500 src/d/e
             ln -s ../../../x src/d/e/up; ln -s ../../../../../out src/d/out
             head -c 9000000 /dev/urandom >src/big; ln -s ../a src/d/link; ln -s /nowhere src/dangling; chmod 600 src/a; touch -d @1000000000 src/a src/d
             cp src {there}:/there; cp {there}:/there back/src; rsync -rlpn --itemize-changes --checksum --delete src/ back/src/
             stat -c '%Y %a' back/src/a back/src/d; cp --json src/. {there}:/there | grep -o '\"bytes\":[0-9]*'
             echo more >src/a; cp src/a {there}:there/a; cp src/a {there}:/; cp {there}:/there/a one; cp {there}:/a two; cat one two
             cp {there}:{home}message -; echo original | cp - {there}:/s; echo streamed | cp - {there}:/s; cp {there}:s -; timeout 60 \"$OS\" cp -q -i key {there}:/there/big - 2>/dev/null | head -c 1 | wc -c"
        );
        let output = workstation
            .start_program(&["bash", "-c", &script])
            .output()
            .await;
        output.success();
        let expected = format!(
            "1000000000 600\n1000000000 755\n\"bytes\":0\nmore\nmore\nhello from {service}\nstreamed\n1\n"
        );
        assert_eq!(output.stdout, expected, "{output}");
    }

    // What a container has for a link leads to nothing of the device, and what is none of its paths is said.
    let script = format!(
        "cp() {{ \"$OS\" cp -q -i key \"$@\"; }}; echo evil >passwd; mkdir holds; ln -s {0} holds/link; cp holds/. {IP}:worker:/; cp passwd {IP}:worker:/link/; echo $?
         ls {0}; cp {IP}:worker:/nothing .; echo $?; cp passwd {IP}:nosuch:/; echo $?",
        workstation.home().join("project/web").display()
    );
    let output = workstation
        .start_program(&["bash", "-c", &script])
        .output()
        .await;
    assert_eq!(
        output.stdout, "1\nDockerfile\nmessage\nrun.sh\n1\n6\n",
        "{output}"
    );
    for part in ["there is no /nothing on worker", "it has: web, worker"] {
        assert!(output.stderr.contains(part), "{part}: {output}");
    }
}

#[tokio::test]
async fn files_go_to_mounts_of_their_own_and_not_beneath_what_is_in_memory() {
    let lan = Lan::new();
    let (device, _server, workstation) = pushed(&lan, |workstation| {
        compose(workstation, "project");
        // Its shell does nothing.
        let bare = BARE.replace("COPY message", "COPY --from=0 /bin/busybox /bin/bash\nCOPY message");
        workstation.write("project/web/Dockerfile", bare);
        workstation.write(
            "project/docker-compose.yml",
            "services:\n  web: {build: ./web, tmpfs: [/app/mem]}
  worker: {build: ./worker, tmpfs: [/app/mem], volumes: [\"data:/app/mem/vol\"]}\nvolumes: {data: {}}\n",
        );
        // The same is in the image, beneath.
        workstation.write("project/worker/mem/x", "x\n");
        workstation.write("tree/mem/x", "x\n");
        let files = ["project/worker/mem/x", "tree/mem/x"].map(|file| workstation.home().join(file).display().to_string());
        workstation.machine.run("touch", &["-d", "@1000000000", &files[0], &files[1]]);
    })
    .await;
    let script = format!(
        "cp() {{ \"$OS\" cp -q --accept-host-key -i key \"$@\"; }}; exec_() {{ \"$OS\" exec {IP} worker -q -i key -- \"$@\"; }}
         echo y >tree/y
         cp tree/y {IP}:worker:/app/y; exec_ ln -s app/mem /l; for at in /app/mem/ /l/new /proc/x; do cp tree/y {IP}:worker:$at; echo $?; cp {IP}:worker:$at one; echo $?; done
         cp tree/. {IP}:worker:/app; echo $?; exec_ cat /app/mem/x /app/y; cp {IP}:worker:/app back; echo $?; cat back/y; ls back/mem
         cp tree/y {IP}:worker:/app/mem/vol/v; echo $?; exec_ cat /app/mem/vol/v; cp {IP}:worker:/app/mem/vol/v -
         cp tree {IP}:web:/app; cp tree/. {IP}:web:/app; echo $?; cp {IP}:web:/app/y -; cp tree/y {IP}:web:/etc/hosts; echo $?
         cp {IP}:worker:/etc/hosts hosts; echo '127.0.0.9 nine' >>hosts; chmod 640 hosts; cp hosts {IP}:worker:/etc/hosts; echo $?
         exec_ sh -c 'tail -n 1 /etc/hosts; stat -c %a /etc/hosts; grep -c \" /etc/hosts \" /proc/mounts; ls -A /etc | grep os-part'"
    );
    let output = workstation
        .start_program(&["bash", "-c", &script])
        .output()
        .await;
    let refused = "1\n".repeat(6);
    assert_eq!(
        output.stdout,
        format!("{refused}0\nx\ny\n1\ny\nvol\n0\ny\ny\n1\ny\n1\n0\n127.0.0.9 nine\n640\n1\n"),
        "{output}"
    );
    for part in [
        "/app/mem/ of worker",
        "/l/new of worker",
        "is in memory (/app/mem)",
        "is in memory (/proc)",
        "/app/mem is not copied: it is in the container's memory",
        "tree/./mem/x is not copied: it is in the container's memory",
        "tree/y is not copied: what is in its place is mounted there",
    ] {
        assert!(output.stderr.contains(part), "{part}: {output}");
    }

    // The device's own, a small one and a large one.
    let script = "cd /run && mkdir own && cd own && echo old >mine && echo old >file && mount --bind mine file";
    device.machine.run("sh", &["-c", script]);
    let script = format!(
        "cp() {{ \"$OS\" cp -q -i key \"$@\"; }}; head -c 9000000 /dev/urandom >big; echo small >small; chmod 600 small
         for file in small big; do cp $file {IP}:/run/own/file; echo $?; cp {IP}:/run/own/mine - | cmp - $file && echo same; done
         echo streamed | cp - {IP}:/run/own/file; echo $?; cp {IP}:/run/own/mine -
         echo x | cp - {IP}:/x --token-file -; echo $?"
    );
    let output = workstation
        .start_program(&["bash", "-c", &script])
        .output()
        .await;
    let expected = "0\nsame\n0\nsame\n0\nstreamed\n2\n";
    assert_eq!(output.stdout, expected, "{output}");
}

#[tokio::test]
async fn a_copy_of_a_container_goes_on_when_the_device_is_back() {
    let lan = Lan::new();
    let project = |workstation: &Workstation| compose(workstation, "project");
    let (device, mut server, workstation) = pushed(&lan, project).await;
    let address = device.address.expect("a place in the network");
    let sh = async |script: &str| {
        let program = ["bash", "-c", script];
        let output = workstation.start_program(&program).output().await;
        output.success();
        output
    };
    sh(
        "mkdir -p src/a; for n in $(seq 300); do head -c 20000 /dev/urandom >src/a/$n; done
        head -c 80000000 /dev/urandom >src/large",
    )
    .await;
    let there = format!("{IP}:worker:/copy");
    let large = format!("{IP}:worker:/copy/large");
    let single = format!("{IP}:worker:/single");
    for (from, to, is_resumed) in [
        ("src", there.as_str(), true),
        // An archive cannot be begun in the middle: what is whole stays.
        (&there, "back", false),
        ("src/large", &single, true),
        (&large, "single", true),
    ] {
        let before = lan_bytes(&device.machine);
        let words = ["cp", "--accept-host-key", "-i", "key", from, to];
        let running = workstation.start(&words);
        until("half of it is sent", async || {
            (lan_bytes(&device.machine) > before + 40_000_000).then_some(())
        })
        .await;
        lan.unplug(address);
        server.cut(&device.machine).await;
        running.says("waiting for the device to be back").await;
        server.start_again(&device.machine).await;
        lan.replug(address);
        let output = running.output().await;
        output.success();
        let goes_on = output.stderr.contains(" goes on after ");
        assert_eq!(goes_on, is_resumed, "{from} to {to}: {output}");
    }
    let script = format!(
        "cmp single src/large && rm single && \"$OS\" cp -q -i key {single} single && cmp single src/large
         rsync -rlptn --itemize-changes --checksum --delete src/ back/
         \"$OS\" exec {IP} worker -q -i key -- find / -xdev -name '*os-part*'"
    );
    let output = sh(&script).await;
    assert_eq!(output.stdout, "", "{output}");
}
