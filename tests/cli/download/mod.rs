//! `os download` against servers that cut, stall, lie and change their files: what stands at its place is whole and right, or nothing does.

mod cache;
mod checks;
mod cloud;
mod cuts;
mod doubts;
mod ends;
mod faults;
mod places;
mod signed;
mod silent;
mod strangers;
mod untold;

use std::path::PathBuf;

use testkit::distribution::{Fate, Served};
use testkit::{Distribution, Workstation};

/// Bytes that repeat nowhere.
pub(crate) fn noise(count: usize, seed: u32) -> Vec<u8> {
    let mut state = seed * 2 + 1;
    let mut all = Vec::with_capacity(count + 4);
    while all.len() < count {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        all.extend(state.to_le_bytes());
    }
    all.truncate(count);
    all
}

/// The checksum of bytes, by another program.
pub(crate) fn sha256(workstation: &Workstation, bytes: &[u8]) -> String {
    let path = workstation.write("summed", bytes);
    let line = workstation
        .machine
        .run("sha256sum", &[path.to_str().expect("a path")]);
    line.split(' ').next().expect("a sum").to_owned()
}

pub(crate) fn gzip(workstation: &Workstation, bytes: &[u8]) -> Vec<u8> {
    let path = workstation.write("packed", bytes);
    let path = path.to_str().expect("a path");
    workstation.machine.run("gzip", &["-1", "-f", path]);
    fs_err::read(format!("{path}.gz")).expect("a file")
}

/// A file is cut off, and is another one when it is asked for again: what is had is that one.
pub(crate) async fn becomes_another(
    workstation: &Workstation,
    server: &Distribution,
    (file, cut): (Served, usize),
    (new, tag): (&[u8], Option<String>),
) {
    let fates = [Fate::Cut(cut), Fate::Becomes(new.to_vec().into(), tag)];
    server.put("os.img", file.fated(fates));
    let output = workstation
        .os(&["download", &server.url("os.img"), "--force"])
        .await;
    output.success();
    assert!(output.stderr.contains("has changed"), "{output}");
    image_is(workstation, new);
    workstation.os(&["cache", "clean"]).await.success();
}

/// Makes of the file in the cache one that was ended when this of it was written down; other fields are those that are known of it.
pub(crate) fn ended_before_it_was_kept(
    workstation: &Workstation,
    url: &str,
    state: &serde_json::Value,
) {
    let rooms = fs_err::read_dir(workstation.home().join(".cache/os/images")).expect("a cache");
    let mut rooms = rooms.map(|room| room.expect("a room").path());
    let room = rooms.find(|room| room.is_dir()).expect("a room");
    let about = fs_err::read(room.join("about.json")).expect("a file");
    let about: serde_json::Value = serde_json::from_slice(&about).expect("JSON");
    let mut all = serde_json::json!({
        "version": 1, "source": url, "validator": about["validator"], "length": about["bytes"],
        "coding": null, "parts": [[0, about["bytes"]]],
    });
    for (name, value) in state.as_object().expect("fields") {
        all[name] = value.clone();
    }
    fs_err::write(room.join("part.json"), all.to_string()).expect("a file");
    fs_err::rename(room.join("image"), room.join("part")).expect("an image");
    fs_err::remove_file(room.join("about.json")).expect("a file");
}

/// Where the image stands, if it does.
pub(crate) fn image(workstation: &Workstation) -> PathBuf {
    workstation.home().join("os.img")
}

/// Nothing stands where the image should, or beside that.
#[track_caller]
pub(crate) fn nothing_is_there(workstation: &Workstation) {
    let listed = fs_err::read_dir(workstation.home()).expect("a folder");
    let names: Vec<_> = listed
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    let mut names = names.iter().map(|name| name.to_string_lossy());
    assert!(
        !names.any(|name| name.contains("os.img")),
        "something is there"
    );
}

#[track_caller]
pub(crate) fn image_is(workstation: &Workstation, bytes: &[u8]) {
    let found = fs_err::read(image(workstation)).expect("an image");
    assert!(
        found == bytes,
        "{} bytes that are others than {}",
        found.len(),
        bytes.len()
    );
}
