use fs_err as fs;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::*;
use crate::store::disk::OwnDisk;
use crate::store::fused::Fused;

const CRUMB: &str = "mnt/state/rollback-health-breadcrumb";

/// A device after an update to its second system.
struct Device(TempDir);

impl Device {
    fn new(running: &str, env: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("mnt/state")).unwrap();
        fs::create_dir_all(path("mnt/boot/EFI/BOOT")).unwrap();
        fs::write(path("cmdline"), format!("ro root=LABEL={running} quiet")).unwrap();
        let mut block = format!("# GRUB Environment Block\n{env}").into_bytes();
        block.resize(1024, b'#');
        fs::write(path("mnt/boot/EFI/BOOT/grubenv"), block).unwrap();
        for crumb in host::BREADCRUMBS {
            fs::write(path(crumb), "").unwrap();
        }
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn places(&self) -> HealthPlaces {
        HealthPlaces {
            root: self.path(""),
            boot: self.path("mnt/boot"),
            state: self.path("mnt/state"),
            command_line: self.path("cmdline"),
            engine: vec![self.path("none.sock"), self.path("engine.sock")],
            agent: self.path("agent.sock"),
            bus: self.path("bus"),
        }
    }

    fn env(&self) -> BootEnv {
        boot_env::read(&fs::read(self.path("mnt/boot/EFI/BOOT/grubenv")).unwrap()).unwrap()
    }

    /// Lets somebody answer at this socket.
    fn answer(&self, name: &str, status: &'static str) {
        let listener = UnixListener::bind(self.path(name)).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut question = [0; 1024];
                drop(stream.read(&mut question).await);
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                drop(stream.write_all(answer.as_bytes()).await);
            }
        });
    }
}

/// Judges without waiting: each pause is over at once.
async fn judged(device: &Device, disk: &dyn Disk) -> Result<(), HealthError> {
    let mut age = Duration::ZERO;
    let pause = async || {
        age += PAUSE;
        age
    };
    run_with(&device.places(), disk, pause).await
}

const ON_TRIAL: &str = "resin_root_part=3\nupgrade_available=1\nbootcount=1\n";

fn settled(root: Slot) -> BootEnv {
    BootEnv {
        root,
        is_on_trial: false,
    }
}

#[tokio::test]
async fn a_new_system_that_works_is_kept() {
    let device = Device::new("resin-rootB", ON_TRIAL);
    device.answer("engine.sock", "200 OK");
    device.answer("agent.sock", "200 OK");
    judged(&device, &OwnDisk).await.unwrap();
    assert_eq!(device.env(), settled(Slot::B));
    assert!(!device.path(CRUMB).exists());
    assert!(!device.path("mnt/state/rollback-health-triggered").exists());
    // Once more, by somebody's hand.
    judged(&device, &OwnDisk).await.unwrap();
    assert_eq!(device.env(), settled(Slot::B));
}

#[tokio::test]
async fn one_that_does_not_work_gives_way_to_the_one_before() {
    for (engine, agent, tunnel) in [
        ("500 No", "200 OK", false),
        ("200 OK", "500 Unhealthy", false),
        ("200 OK", "200 OK", true),
    ] {
        let device = Device::new("resin-rootB", ON_TRIAL);
        device.answer("engine.sock", engine);
        device.answer("agent.sock", agent);
        if tunnel {
            fs::write(
                device.path("mnt/state/rollback-health-variables"),
                "BALENAOS_ROLLBACK_VPNONLINE=1\n",
            )
            .unwrap();
        }
        let error = judged(&device, &OwnDisk).await.unwrap_err();
        assert!(
            matches!(error, HealthError::Restart(BusError::Absent { .. })),
            "{error}"
        );
        assert_eq!(device.env(), settled(Slot::A));
        assert!(device.path("mnt/state/rollback-health-triggered").exists());
        assert!(!device.path(CRUMB).exists());
    }
}

#[tokio::test]
async fn where_the_boot_loader_gave_it_up_this_is_said_and_stays_so() {
    let device = Device::new("resin-rootA", ON_TRIAL);
    judged(&device, &OwnDisk).await.unwrap();
    assert_eq!(device.env(), settled(Slot::A));
    assert!(device.path("mnt/state/rollback-altboot-triggered").exists());
    assert!(!device.path(CRUMB).exists());
}

#[tokio::test]
async fn power_may_be_cut_at_any_moment() {
    for is_last_done in [false, true] {
        for operation in 1.. {
            let device = Device::new("resin-rootA", ON_TRIAL);
            let disk = Fused::new(operation, is_last_done);
            let outcome = judged(&device, &disk).await;
            if !disk.is_blown() {
                outcome.unwrap();
                assert!(operation > 8);
                break;
            }
            // The unit is started as long as its sign is there.
            if device.path(CRUMB).exists() {
                judged(&device, &OwnDisk).await.unwrap();
            }
            assert_eq!(device.env(), settled(Slot::A), "{operation}");
            assert!(!host::is_updating(&device.path("")), "{operation}");
        }
    }
}

#[tokio::test]
async fn what_is_not_known_is_not_decided() {
    let device = Device::new("resin-rootC", ON_TRIAL);
    let error = judged(&device, &OwnDisk).await.unwrap_err();
    assert!(matches!(error, HealthError::NoSlot), "{error}");
    let device = Device::new("resin-rootB", "resin_root_part=9\n");
    let error = judged(&device, &OwnDisk).await.unwrap_err();
    assert!(
        crate::daemon::chain(&error)
            .ends_with("`resin_root_part` is not as a boot loader reads it")
    );
    fs::remove_file(device.path("mnt/boot/EFI/BOOT/grubenv")).unwrap();
    let error = judged(&device, &OwnDisk).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "there is neither EFI/BOOT/grubenv nor resinOS_uEnv.txt on the boot partition"
    );
    assert!(
        device.path(CRUMB).exists(),
        "the boot loader goes on counting"
    );
}
