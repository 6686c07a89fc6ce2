//! Block maps beside images that were changed, and what `os flash` makes of that.

use testkit::Workstation;

use crate::{
    disks::{Disk, Layout, SYSTEMS, run},
    value,
};

/// The map of an image, with its checksums.
fn map(image: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), image).unwrap();
    let sum = run("sha256sum", &[file.path().to_str().unwrap()]);
    let sum = String::from_utf8(sum).unwrap();
    let sum = sum.split(' ').next().unwrap();
    let blocks = image.len() / 4096;
    assert_eq!(blocks * 4096, image.len());
    format!(
        "<bmap version=\"2.0\"><ImageSize>{}</ImageSize><BlockSize>4096</BlockSize><ChecksumType>sha256</ChecksumType><BlockMap><Range chksum=\"{sum}\">0-{}</Range></BlockMap></bmap>",
        image.len(),
        blocks - 1
    )
}

#[tokio::test]
async fn a_changed_image_is_flashed_without_the_block_map_of_what_it_was() {
    let workstation = Workstation::new(None);
    for (packing, named) in [
        (None, "disk.img.bmap"),
        (Some("gzip"), "disk.img.bmap"),
        (Some("gzip"), "disk.img.gz.bmap"),
    ] {
        let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
        let folder = disk.path().parent().unwrap().to_owned();
        let beside = folder.join(named);
        fs_err::write(&beside, map(&disk.bytes())).unwrap();
        let image = match packing {
            None => disk.name(),
            Some(program) => {
                run(program, &["-1", &disk.name()]);
                format!("{}.gz", disk.name())
            }
        };
        let set = ["config", "write", "hostname", "kitchen", "--drive", &image];
        // By a link, too.
        let link = folder.join("link");
        std::os::unix::fs::symlink(&image, &link).unwrap();
        let set = if named == "disk.img.gz.bmap" {
            let link = link.to_str().unwrap();
            let words = ["config", "write", "hostname", "kitchen", "--drive", link];
            words.map(str::to_owned)
        } else {
            set.map(str::to_owned)
        };
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        let changed = workstation.os(&[&set[..], &["--json"]].concat()).await;
        changed.success();
        let maps = &value(&changed.stdout)["block_maps"];
        let old = format!("{}.old", beside.display());
        assert_eq!(maps[0]["renamed_to"], old, "{changed}");
        assert!(
            changed.stderr.contains("of the image as it was"),
            "{changed}"
        );
        assert!(!beside.exists() && fs_err::exists(&old).unwrap());
        let written = workstation.os(&["flash", "-y", &image, "new"]).await;
        written.success();
        // What changes nothing leaves the map of what is there.
        fs_err::write(&beside, "new").unwrap();
        workstation.os(&set).await.success();
        assert!(beside.exists());
        drop(fs_err::remove_file(workstation.home().join("new")));
    }
}
