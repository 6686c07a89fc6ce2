//! A boot partition that `os configure` has written: the device that boots from it is what was asked for.

use std::path::Path;
use std::process::Command;

use testkit::{LightDevice, programs::built};

fn run(command: &mut Command) {
    command
        .env("MTOOLS_SKIP_CHECK", "1")
        .env("LC_ALL", "C.UTF-8");
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
}

/// The files of a folder on a boot partition of their own, and back again after `os configure` with these options.
fn configured(folder: &Path, home: &Path, options: &[&str]) {
    let image = home.join("boot.img");
    fs_err::write(&image, vec![0; 32 * 1024 * 1024]).unwrap();
    run(Command::new("mkfs.vfat")
        .args(["-F", "16", "-n", "resin-boot"])
        .arg(&image));
    let mut copy = Command::new("mcopy");
    copy.args(["-s", "-i"]).arg(&image);
    for entry in fs_err::read_dir(folder).unwrap() {
        copy.arg(entry.unwrap().path());
    }
    run(copy.arg("::"));
    run(Command::new(built("os"))
        .env("HOME", home)
        .arg("configure")
        .arg(&image)
        .args(options));
    run(Command::new("fsck.vfat").arg("-n").arg(&image));
    run(Command::new("mcopy")
        .args(["-s", "-o", "-n", "-i"])
        .arg(&image)
        .arg("::")
        .arg(folder));
}

#[tokio::test]
async fn what_was_configured_on_an_image_is_what_boots() {
    let mut device = LightDevice::development();
    device.spend();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let key = home.join("id");
    run(Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key));
    fs_err::write(home.join("password"), "correct; horse\n").unwrap();
    let [public, password] =
        ["id.pub", "password"].map(|name| home.join(name).display().to_string());
    assert!(device.lets_in(&[]) && device.accepts(2375));
    device.stop();
    let options = [
        "--hostname",
        "scullery",
        "--dev=false",
        "--ssh-key",
        &public,
        "--wifi-ssid",
        "Küche; 1",
        "--wifi-key-file",
        &password,
        "--ethernet-interface",
        "probe0",
        "--ethernet-address",
        "10.9.8.7/24",
        "--ethernet-gateway",
        "10.9.8.1",
        "--cellular-apn",
        "internet",
    ];
    configured(&device.partition("boot"), home, &options);
    device.start_again();
    device
        .until("it has its name", "test \"$(hostname)\" = scullery")
        .await;
    let identity = key.display().to_string();
    assert!(device.lets_in(&["-i", &identity]) && !device.lets_in(&[]));
    assert!(!device.accepts(2375));
    let shown = |name: &str, fields: &str| {
        device.sh(&format!(
            "LC_ALL=C.UTF-8 nmcli --terse --show-secrets --fields {fields} connection show {name}"
        ))
    };
    device
        .until(
            "the networks are known",
            "nmcli connection show os-wifi-K__che__1-a787ebae && nmcli connection show os-cellular",
        )
        .await;
    let wifi = shown(
        "os-wifi-K__che__1-a787ebae",
        "802-11-wireless.ssid,802-11-wireless-security.psk",
    );
    // Of the name and the password, by OpenSSL.
    let derived = "openssl kdf -keylen 32 -kdfopt digest:SHA1 -kdfopt pass:'correct; horse' -kdfopt salt:'Küche; 1' -kdfopt iter:4096 PBKDF2";
    let derived = Command::new("sh").args(["-c", derived]).output().unwrap();
    let derived = String::from_utf8(derived.stdout)
        .unwrap()
        .trim()
        .replace(':', "")
        .to_lowercase();
    assert_eq!(derived.len(), 64);
    assert_eq!(
        wifi,
        format!("802-11-wireless.ssid:Küche; 1\n802-11-wireless-security.psk:{derived}")
    );
    let wired = shown(
        "os-ethernet-probe0",
        "connection.interface-name,ipv4.method,ipv4.addresses,ipv4.gateway",
    );
    assert_eq!(
        wired,
        "connection.interface-name:probe0\nipv4.method:manual\nipv4.addresses:10.9.8.7/24\nipv4.gateway:10.9.8.1"
    );
    assert_eq!(shown("os-cellular", "gsm.apn"), "gsm.apn:internet");
}
