//! A project in an image, with a real engine, for disks of both kinds of tables.

use bollard::body_full;
use bollard::query_parameters::{
    ImportImageOptionsBuilder, ListContainersOptions, RemoveImageOptions,
};
use futures_util::TryStreamExt;
use testkit::{Device, Lan, Workstation};

use super::{BOOT, DATA, Found, Image, MIB, Place, SECTOR, UUID, id};
use crate::USAGE;

#[tokio::test]
async fn a_project_lies_in_the_data_partition_once_however_often_it_is_put_there() {
    let place = Place::new().await;
    let client = place.engine.client().await;
    for is_gpt in [false, true] {
        let image = Image::new(is_gpt, "amd64");
        let before = image.bytes();
        let done = place.preload(&image.name(), &["--json"]).await;
        done.success();
        let told: serde_json::Value = serde_json::from_str(&done.stdout).expect("one value");
        image.is_alone();
        let after = image.bytes();
        // The rest of the disk is as it was, but for the table's entries.
        let boot = BOOT.0 * MIB..(BOOT.0 + BOOT.1) * MIB;
        assert!(before[boot.clone()] == after[boot]);
        // Entries of logical partitions lie in front of these.
        let is_entry =
            |mib: usize| !is_gpt && ![20..28, 32..36].iter().any(|part| part.contains(&mib));
        let mut between = (BOOT.0 + BOOT.1) * MIB..DATA.0 * MIB;
        let other = between.find(|at| before[*at] != after[*at] && !is_entry(at / MIB));
        assert_eq!(other, None);
        let found = Found::on(&image.name(), is_gpt);
        assert!(found.sectors > u64::try_from(DATA.1 * MIB / SECTOR).unwrap());
        assert!(found.has_mark());
        let archive = found.file("/preload/images.tar");
        let length = archive.len();
        assert_eq!(
            told,
            serde_json::json!({
                "image": image.name(), "services": ["web", "api"], "archive": length, "partition": if is_gpt { 4 } else { 6 },
                "size_before": DATA.1 * MIB, "size": found.sectors * 512, "medium_at_least": after.len() + 2 * length,
                "system": null, "is_taken": null, "mended": [], "block_maps": [],
            })
        );
        let told = place
            .workstation
            .os(&["image", "inspect", &image.name()])
            .await;
        let mut lines = told.stdout.lines();
        let line = lines.find(|line| line.starts_with("preloaded"));
        assert!(
            line.is_some_and(|line| line.contains("web") && line.contains("api")),
            "{told}"
        );
        // The agent takes it for its target.
        let apps = found.file("/apps.json");
        let target = os_agent::fuzz::preloaded(&apps, UUID).unwrap().unwrap();
        let app = &target.apps[&1];
        assert_eq!((app.uuid.as_str(), app.name.as_str()), ("1", "localapp"));
        let web = &app.services["web"];
        assert_eq!(web.image, "local_image_web:preloaded");
        assert_eq!(web.environment["COLOUR"], "blue");
        assert_eq!(
            web.composition["command"],
            serde_json::json!(["sleep", "1"])
        );
        assert!(app.services.contains_key("api"));
        // An engine takes the images.
        let names = ["local_image_web:preloaded", "local_image_api:preloaded"];
        let mut ids = Vec::new();
        for name in names {
            ids.push(id(&client, name).await);
            let removed = client.remove_image(name, None::<RemoveImageOptions>, None);
            removed.await.expect("a removal");
        }
        let options = ImportImageOptionsBuilder::default().build();
        let loaded: Vec<_> = client
            .import_image(options, body_full(archive.into()), None)
            .try_collect()
            .await
            .expect("images");
        assert!(!loaded.is_empty());
        for (name, before) in names.iter().zip(&ids) {
            assert_eq!(&id(&client, name).await, before);
        }
        // Once more it is the same.
        place.preload(&image.name(), &[]).await.success();
        let again = Found::on(&image.name(), is_gpt);
        assert_eq!(again.sectors, found.sectors);
        assert_eq!(again.file("/apps.json"), apps);
        let listed = again.debugfs("ls -p /preload");
        assert_eq!(listed.matches(".tar").count(), 1, "{listed}");
    }
}

#[tokio::test]
async fn another_file_may_be_the_new_image_and_what_is_there_is_kept() {
    let place = Place::new().await;
    let image = Image::new(true, "amd64");
    let before = image.bytes();
    let other = image.file("other.img");
    place
        .preload(&image.name(), &["-o", &other])
        .await
        .success();
    assert!(image.bytes() == before);
    Found::on(&other, true);
    let refused = place.preload(&image.name(), &["-o", &other]).await;
    assert_eq!(refused.code, USAGE, "{refused}");
}

#[tokio::test]
async fn what_lies_behind_the_data_partition_stays_and_may_become_part_of_it() {
    let place = Place::new().await;
    for is_gpt in [false, true] {
        let image = Image::longer(is_gpt, "amd64", 300);
        let length = image.bytes().len();
        let at = length - 2 * MIB;
        let disk = fs_err::OpenOptions::new()
            .write(true)
            .open(image.path())
            .unwrap();
        std::os::unix::fs::FileExt::write_all_at(
            disk.file(),
            b"behind",
            u64::try_from(at).unwrap(),
        )
        .unwrap();
        place.preload(&image.name(), &[]).await.success();
        let found = Found::on(&image.name(), is_gpt);
        assert!(found.sectors > u64::try_from(DATA.1 * MIB / SECTOR).unwrap());
        let after = image.bytes();
        assert_eq!(after.len(), length);
        assert_eq!(after[at..at + 6], *b"behind");
    }
}

#[tokio::test]
async fn an_engine_that_is_lent_goes_on_with_what_it_runs() {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    let file = "FROM os-test/busybox\nCOPY note /note\nCMD [\"sleep\", \"1000000\"]\n";
    for project in ["one", "two"] {
        workstation.write(format!("{project}/Dockerfile"), file);
        workstation.write(format!("{project}/note"), project);
    }
    let push = ["push", "10.88.7.1", "--source", "one", "--detached"];
    workstation.os(&push).await.success();
    let client = device.engine.client().await;
    let pushed = id(&client, "local_image_main:latest").await;
    let running = async || {
        let listed = client.list_containers(None::<ListContainersOptions>).await;
        let ids = listed.unwrap().into_iter().map(|found| found.id);
        ids.collect::<Vec<_>>()
    };
    let before = running().await;
    assert_eq!(before.len(), 1);
    let image = Image::new(true, "amd64");
    let name = image.name();
    let preload = ["preload", &name, "two", "--on", "10.88.7.1"];
    workstation.os(&preload).await.success();
    assert_eq!(id(&client, "local_image_main:latest").await, pushed);
    let made = id(&client, "local_image_main:preloaded").await;
    assert_ne!(made, pushed);
    // The next push finds what it has left there.
    workstation.os(&push).await.success();
    assert_eq!(id(&client, "local_image_main:latest").await, pushed);
    assert_eq!(running().await, before);
}
