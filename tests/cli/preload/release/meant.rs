//! Which release is meant, and who may see it.

use serde_json::Value;

use super::super::Image;
use super::{DEVICE, DRAFT, FLEET, FLEET_UUID, LATEST, PINNED, Place, TOKEN};
use crate::USAGE;

#[tokio::test]
async fn the_release_is_the_one_that_is_meant() {
    let place = Place::known().await;
    let image = Image::new(false, "amd64");
    let before = image.bytes();
    let name = image.name();
    for (wanted, commit) in [
        (&[][..], PINNED),
        (&["--commit", "current"], PINNED),
        (&["--commit", "latest"], LATEST),
        (&["--commit", "d0d0"], DRAFT),
        (&["--commit", "C0FFEE"], PINNED),
    ] {
        let told = place.dry_run(&name, wanted).await;
        told.success();
        let told: Value = serde_json::from_str(&told.stdout).expect("one value");
        assert_eq!(told["release"]["commit"], commit, "{wanted:?}");
        assert_eq!(told["services"][0]["name"], "api");
        assert_eq!(told["services"][1]["bytes"], 1_990_000);
    }
    place.cloud.changes(|fleet| fleet.running = None);
    let told = place.dry_run(&name, &[]).await;
    assert!(told.stdout.contains(LATEST), "{told}");
    // A fleet has three names.
    for fleet in ["Ann/Kitchen", FLEET_UUID, "kitchen"] {
        let told = place.preload(&name, &["--dry-run", "--fleet", fleet]).await;
        told.success();
        assert!(told.stdout.contains("api  127.0.0.1:5000/v2/a"), "{told}");
        assert!(told.stdout.contains("2.0 MB"), "{told}");
    }
    let none = place.dry_run(&name, &["--commit", "abcdef"]).await;
    assert_eq!(none.code, USAGE, "{none}");
    for words in [
        "abcdef",
        "d0d0d0d (1.2.3), 1a7e571 (1.2.3), c0ffeec (1.2.3)",
    ] {
        assert!(none.stderr.contains(words), "{none}");
    }
    let unknown = place.preload(&name, &["--fleet", "ann/cellar"]).await;
    assert_eq!(unknown.code, USAGE, "{unknown}");
    assert!(unknown.stderr.contains("no fleet ann/cellar"), "{unknown}");
    // As the reference's client has it.
    for (given, instead) in [
        (&["-f", FLEET][..], "--fleet ann/kitchen"),
        (&["-c", "c0ffeec0"], "--commit c0ffeec0"),
    ] {
        let refused = place.preload(&name, given).await;
        assert!(refused.stderr.contains(instead), "{refused}");
    }
    for wrong in [
        &["project", "--fleet", FLEET][..],
        &["--fleet", FLEET, "--file", "x.yml"],
        &["--commit", "latest"],
        &["--fleet", FLEET, "--commit", "newest"],
        &["--fleet", FLEET, "--pin-device-to-release"],
        &["--fleet", FLEET, "--add-certificate", "x.crt"],
    ] {
        let refused = place.preload(&name, wrong).await;
        assert_eq!(refused.code, USAGE, "{refused}");
    }
    assert!(image.bytes() == before);
}

#[tokio::test]
async fn whoever_has_no_token_sees_what_everybody_sees() {
    let mut place = Place::new().await;
    let image = Image::new(false, "amd64");
    let name = image.name();
    let nobody = place.dry_run(&name, &[]).await;
    assert_eq!(nobody.code, USAGE, "{nobody}");
    for words in ["without a token", "OSCLI_TOKEN"] {
        assert!(nobody.stderr.contains(words), "{nobody}");
    }
    place.cloud.changes(|fleet| fleet.is_open = true);
    place.dry_run(&name, &[]).await.success();
    place.workstation.set("OSCLI_TOKEN", "another");
    let stranger = place.dry_run(&name, &[]).await;
    assert_eq!(stranger.code, DEVICE, "{stranger}");
    assert!(
        stranger.stderr.contains("does not take the token")
            && !stranger.stderr.contains("another\n"),
        "{stranger}"
    );
    // A file may hold it, which is read once.
    let file = place.workstation.write("token", TOKEN);
    let file = file.display().to_string();
    let known = place.dry_run(&name, &["--token-file", &file]).await;
    known.success();
}
