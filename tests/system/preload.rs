//! A device that boots with what `os preload` leaves on the data partition starts it, in its own sandbox and without a registry.

use serde_json::json;
use testkit::LightDevice;

use crate::access::load_image;

#[tokio::test]
async fn what_is_preloaded_starts_at_boot() {
    let mut device = LightDevice::development();
    device.spend();
    load_image(&device);
    device.sh(
        "docker tag os-test/busybox local_image_main && mkdir /mnt/data/preload \
         && docker save -o /mnt/data/preload/images.tar local_image_main && docker rmi local_image_main os-test/busybox >/dev/null \
         && systemctl stop os-agent && rm -f /mnt/data/os-agent/state*.json",
    );
    let service = json!({"id": 1, "image_id": 1, "image": "local_image_main:latest", "environment": {}, "labels": {},
        "composition": {"command": ["sh", "-c", "trap 'exit 0' TERM; sleep 1000000 & wait"]}});
    let release = json!({"id": 1, "services": {"main": service}, "volumes": {}, "networks": {}});
    let app = json!({"id": 1, "name": "localapp", "class": "fleet", "releases": {"10ca12e1ea5e": release}});
    let apps = json!({"config": {}, "apps": {"1": app}});
    fs_err::write(device.partition("data").join("apps.json"), apps.to_string()).unwrap();
    device.stop();
    device.start_again();
    let runs = "docker ps --format '{{.Names}}' | grep -q '^main_1_1_10ca12e1ea5e$'";
    device.until("the service runs", runs).await;
    let taken = "[ \"$(cat /mnt/data/apps.json)\" = '{}' ] && [ -e /mnt/data/apps.json.preloaded ] && [ ! -e /mnt/data/preload ]";
    device.until("the data partition is tidied", taken).await;
}
