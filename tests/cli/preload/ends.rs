//! Whoever ends `os preload`, at whatever moment, finds the old image and no program that goes on.

use testkit::until;

use super::{Found, INTERRUPTED, Image, Place};

/// A program that stands for `e2fsck`, and never ends; in the file that is returned it says which process it is.
fn endless(place: &mut Place) -> std::path::PathBuf {
    let begun = place.workstation.home().join("begun");
    let script = format!(
        "#!/bin/sh\necho $$ >{0}.new\nmv {0}.new {0}\nexec sleep 1000000\n",
        begun.display()
    );
    let program = place.workstation.write("bin/e2fsck", script);
    let may_run = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs_err::set_permissions(&program, may_run).unwrap();
    let bin = program.parent().unwrap().display();
    let path = format!("{bin}:/usr/sbin:/usr/bin:/sbin:/bin");
    place.workstation.set("PATH", &path);
    begun
}

#[tokio::test]
async fn a_kill_at_any_moment_leaves_the_old_image_and_nothing_beside_it() {
    let place = Place::new().await;
    let socket = place.engine.socket().display().to_string();
    let mut killed = 0;
    for moment in [
        "preparing the data",
        "writing the images",
        "reading them",
        "writing the image\n",
    ] {
        let image = Image::new(false, "amd64");
        let before = image.bytes();
        let name = image.name();
        let mut arguments = Place::arguments(&name, &socket);
        arguments.push("-v");
        let running = place.workstation.start(&arguments);
        running.says(moment).await;
        drop(running);
        // It may have been done by then.
        if image.bytes() == before {
            killed += 1;
        } else {
            Found::on(&name, false);
        }
        image.is_alone();
    }
    assert!(killed > 0, "none was killed before its end");
}

#[tokio::test]
async fn whoever_ends_it_is_told_that_the_image_is_as_it_was() {
    let place = Place::new().await;
    let socket = place.engine.socket().display().to_string();
    let image = Image::new(false, "amd64");
    let before = image.bytes();
    let name = image.name();
    let mut arguments = Place::arguments(&name, &socket);
    arguments.push("-v");
    let mut running = place.workstation.start_in_terminal(&arguments);
    running.shows("preparing the data").await;
    running.press("\x03");
    let ended = running.output().await;
    assert_eq!(ended.code, INTERRUPTED, "{ended}");
    assert!(ended.stdout.contains("the image is as it was"), "{ended}");
    assert!(image.bytes() == before);
    image.is_alone();
}

#[tokio::test]
async fn a_program_that_works_on_it_ends_with_us_and_when_it_is_told_to() {
    let mut place = Place::new().await;
    let begun = endless(&mut place);
    let socket = place.engine.socket().display().to_string();
    let machine = &place.workstation.machine;
    for signal in ["TERM", "KILL"] {
        let image = Image::new(false, "amd64");
        let before = image.bytes();
        let name = image.name();
        let running = place.workstation.start(&Place::arguments(&name, &socket));
        let process = until("the program is at work", async || {
            fs_err::read_to_string(&begun).ok()
        })
        .await;
        let process = process.trim();
        let sent = format!("kill -{signal} $(pgrep -xo os)");
        machine.run("sh", &["-c", &sent]);
        let ended = running.output().await;
        if signal == "TERM" {
            assert_eq!(ended.code, INTERRUPTED, "{ended}");
            assert!(ended.stderr.contains("the image is as it was"), "{ended}");
        }
        let is_gone = format!("! kill -0 {process} 2>/dev/null");
        until("the program is gone", async || {
            let mut asked = machine.command("sh");
            let asked = asked.args(["-c", &is_gone]).status();
            asked.ok()?.success().then_some(())
        })
        .await;
        assert!(image.bytes() == before);
        image.is_alone();
        fs_err::remove_file(&begun).unwrap();
    }
}
