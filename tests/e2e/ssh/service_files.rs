//! `os cp` to and from the containers of services, with a shell and without one.

use testkit::{Device, Lan, Sshd, Workstation, programs::built};

use crate::projects::compose;

const IP: &str = "10.88.7.1";
/// A service that has nothing but what it runs.
const BARE: &str = "FROM os-test/busybox\nFROM scratch\nCOPY --from=0 /bin/busybox /sleep\nCOPY message /message\nCMD [\"/sleep\", \"1000000\"]\n";

#[tokio::test]
async fn files_go_into_containers_and_come_back_as_they_were() {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let mut workstation = Workstation::new(Some(&lan));
    compose(&workstation, "project");
    workstation.write("project/web/Dockerfile", BARE);
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
