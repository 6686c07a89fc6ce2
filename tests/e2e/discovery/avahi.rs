//! Beside Avahi: reference devices, which have it, and devices of ours on which it runs.

use super::*;

/// An Avahi daemon as the reference's devices run it, without D-Bus.
pub(super) async fn avahi(machine: &Namespace, hostname: &str) -> Process {
    let dir = machine.dir().display().to_string();
    let service = "<service-group><name replace-wildcards='yes'>%h</name><service><type>_ssh._tcp</type>\
                   <subtype>_resin-device._sub._ssh._tcp</subtype><port>22222</port></service></service-group>";
    let conf =
        format!("[server]\nhost-name={hostname}\nenable-dbus=no\nuse-ipv4=yes\nuse-ipv6=yes\n");
    fs_err::write(machine.dir().join("avahi.conf"), conf).unwrap();
    fs_err::write(machine.dir().join("ssh.service"), service).unwrap();
    machine.run(
        "sh",
        &[
            "-c",
            "mkdir -p /run/avahi-daemon && rm -f /etc/avahi/services/* && cp ssh.service /etc/avahi/services/ssh.service",
        ],
    );
    let mut command = machine.command("avahi-daemon");
    command.args([
        "--no-drop-root",
        "--no-chroot",
        "-f",
        &format!("{dir}/avahi.conf"),
    ]);
    let process = Process::start("avahi-daemon", command, &machine.dir().join("avahi.log")).await;
    testkit::until("Avahi has published", async || {
        process
            .log()
            .contains("successfully established")
            .then_some(())
    })
    .await;
    process
}

#[tokio::test]
async fn a_reference_device_is_found_and_its_host_name_resolved() {
    let lan = Lan::new();
    let (workstation, machine) = (Namespace::new(), Namespace::new());
    lan.join(&workstation);
    let address = lan.join(&machine);
    let _avahi = avahi(&machine, "peer-device").await;

    let found = devices(&scanned(&workstation, workstation.dir()));
    let [peer] = found.as_slice() else {
        panic!("{found:#?}")
    };
    assert_eq!(
        (peer.name.as_str(), &peer.uuid, &peer.agent_version),
        ("peer-device", &None, &None)
    );
    assert_eq!(ips(peer)[0], IpAddr::V4(address.v4));
    assert_eq!(peer.ssh_port, 22222);

    let fresh = workstation.dir().join("fresh");
    assert_eq!(
        ips(&resolved(&workstation, &fresh, "peer-device.local").unwrap())[0],
        IpAddr::V4(address.v4)
    );
    // Remembered, so that its name is completed.
    let remembered =
        os_cli::discovery::remembered::Remembered::peek(&Places::below(&fresh).remembered);
    assert_eq!(remembered.devices().len(), 1);
}

#[tokio::test]
async fn any_host_of_the_local_network_can_be_meant_by_name() {
    let lan = Lan::new();
    let (workstation, machine) = (Namespace::new(), Namespace::new());
    lan.join(&workstation);
    let address = lan.join(&machine);
    let _avahi = avahi(&machine, "plain").await;
    machine.run("rm", &["/etc/avahi/services/ssh.service"]);
    testkit::until("Avahi has withdrawn the service", async || {
        devices(&scanned(&workstation, workstation.dir()))
            .is_empty()
            .then_some(())
    })
    .await;
    let fresh = workstation.dir().join("fresh");
    assert_eq!(
        ips(&resolved(&workstation, &fresh, "plain").unwrap())[0],
        IpAddr::V4(address.v4)
    );
    let remembered =
        os_cli::discovery::remembered::Remembered::peek(&Places::below(&fresh).remembered);
    assert!(remembered.devices().is_empty(), "it may be a printer");
}

/// D-Bus, as `avahi-browse` needs it, and an Avahi daemon that uses it.
async fn desktop(machine: &Namespace) -> [Process; 2] {
    machine.run("mkdir", &["-p", "/run/dbus", "/run/avahi-daemon"]);
    let mut bus = machine.command("dbus-daemon");
    bus.args(["--system", "--nofork", "--nopidfile"]);
    let bus = Process::start("dbus-daemon", bus, &machine.dir().join("bus.log")).await;
    testkit::until("D-Bus listens", async || {
        machine
            .run("ls", &["/run/dbus"])
            .contains("system_bus_socket")
            .then_some(())
    })
    .await;
    let conf = "[server]\nhost-name=desktop\n";
    fs_err::write(machine.dir().join("avahi.conf"), conf).unwrap();
    let path = machine.dir().join("avahi.conf");
    let mut command = machine.command("avahi-daemon");
    command.args([
        "--no-drop-root",
        "--no-chroot",
        "-f",
        path.to_str().unwrap(),
    ]);
    let daemon = Process::start("avahi-daemon", command, &machine.dir().join("avahi.log")).await;
    testkit::until("Avahi runs", async || {
        daemon
            .log()
            .contains("Server startup complete")
            .then_some(())
    })
    .await;
    [daemon, bus]
}

#[tokio::test]
async fn avahi_finds_our_device() {
    let lan = Lan::new();
    let (workstation, machine) = (Namespace::new(), Namespace::new());
    lan.join(&workstation);
    let address = lan.join(&machine);
    let _desktop = desktop(&workstation).await;
    let _announcer = Announcer::start(&machine, config("lamp", &uuid(1), Scope::All));
    for service in ["_osdev._tcp", "_resin-device._sub._ssh._tcp"] {
        testkit::until(&format!("Avahi shows {service}"), async || {
            let browsed = machine_browse(&workstation, service);
            let resolved = format!("lamp.local;{};", address.v4);
            browsed
                .lines()
                .any(|line| line.starts_with("=;lan0;") && line.contains(&resolved))
                .then_some(())
        })
        .await;
    }
    let browsed = machine_browse(&workstation, "_osdev._tcp");
    assert!(
        browsed.contains(&format!("\"uuid={}\"", uuid(1))),
        "{browsed}"
    );
}

fn machine_browse(machine: &Namespace, service: &str) -> String {
    machine.run(
        "avahi-browse",
        &["--resolve", "--parsable", "--terminate", service],
    )
}

/// The agent leaves the publishing to Avahi, which then tells both services under its own host name.
#[tokio::test]
async fn where_avahi_runs_it_publishes_for_our_agent() {
    let lan = Lan::new();
    let (workstation, machine) = (Namespace::new(), Namespace::new());
    lan.join(&workstation);
    let address = lan.join(&machine);
    let _avahi = avahi(&machine, "lamp").await;
    let mut settings = testkit::agent::Settings::new(machine.dir().join("no-engine.sock"));
    settings.announce = "all".to_owned();
    settings.hostname = "lamp".to_owned();
    let uuid = settings.uuid.clone();
    let mut agent = testkit::Agent::start(&machine, settings).await;

    let found = scanned_until_all(&workstation, workstation.dir(), |found| {
        found.iter().any(|device| device.uuid.is_some())
    });
    let [lamp] = found.as_slice() else {
        panic!("{found:#?}")
    };
    assert_eq!(
        (lamp.name.as_str(), lamp.uuid.as_ref()),
        ("lamp", Some(&uuid))
    );
    assert_eq!(ips(lamp)[0], IpAddr::V4(address.v4));
    agent.stop().await;
    let found = scanned_until_all(&workstation, workstation.dir(), |found| {
        found.iter().all(|device| device.uuid.is_none())
    });
    assert_eq!(
        found.len(),
        1,
        "the reference's record is the system's own: {found:#?}"
    );
    assert_eq!(machine.run("ls", &["/etc/avahi/services"]), "ssh.service\n");
}
