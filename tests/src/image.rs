//! Images that every engine of the tests has from the start. Nothing can be pulled: the tests run without a network.
//!
//! [`BUSYBOX`] is Debian's static busybox with links for its applets: what `FROM` of the sample projects names.

use std::path::Path;
use std::sync::OnceLock;

use bollard::Docker;
use bollard::query_parameters::CreateImageOptionsBuilder;
use bytes::Bytes;
use futures_util::TryStreamExt;
use tar::{Builder, EntryType, Header};

/// The base image of the sample projects.
pub const BUSYBOX: &str = "os-test/busybox:latest";

/// Imports the images of this module into an engine.
pub async fn import_base(engine: &Docker) {
    let archive = Bytes::from(busybox_archive().into_inner().expect("an archive"));
    import(
        engine,
        "os-test/busybox",
        vec![r#"CMD ["sh"]"#.to_owned()],
        archive,
    )
    .await;
}

/// Makes `local_image_<service>:latest` as a push does, and returns its id: it runs `/app/run.sh`, which holds `script`.
pub async fn make_service(engine: &Docker, service: &str, script: &str) -> String {
    let mut archive = busybox_archive();
    let mut file = header(EntryType::Regular, 0o755, script.len());
    archive
        .append_data(&mut file, "app/run.sh", script.as_bytes())
        .expect("the script");
    let changes = vec![
        r#"CMD ["/bin/sh", "/app/run.sh"]"#.to_owned(),
        "WORKDIR /app".to_owned(),
        // Every build gives it to images without one.
        "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        "LABEL io.resin.local.image=1".to_owned(),
        format!("LABEL io.resin.local.service={service}"),
    ];
    let name = format!("local_image_{service}");
    let archive = Bytes::from(archive.into_inner().expect("an archive"));
    import(engine, &name, changes, archive).await;
    let image = engine
        .inspect_image(&format!("{name}:latest"))
        .await
        .expect("the image");
    image.id.expect("the image's id")
}

/// Makes `<repository>:latest` of [`BUSYBOX`]'s files and the instructions of a Dockerfile, and returns its id.
pub async fn make(engine: &Docker, repository: &str, changes: Vec<String>) -> String {
    let archive = Bytes::from(busybox_archive().into_inner().expect("an archive"));
    import(engine, repository, changes, archive).await;
    let image = engine
        .inspect_image(&format!("{repository}:latest"))
        .await
        .expect("the image");
    image.id.expect("the image's id")
}

async fn import(engine: &Docker, repository: &str, changes: Vec<String>, archive: Bytes) {
    let options = CreateImageOptionsBuilder::new()
        .from_src("-")
        .repo(repository)
        .tag("latest")
        .changes(changes)
        .build();
    let _: Vec<_> = engine
        .create_image(Some(options), Some(bollard::body_full(archive)), None)
        .try_collect()
        .await
        .expect("an import");
}

/// The static busybox of this machine.
pub fn busybox() -> Bytes {
    Bytes::from(fs_err::read("/bin/busybox").expect("busybox, of Debian's package busybox-static"))
}

/// The root file system of [`BUSYBOX`] as an archive that goes on.
fn busybox_archive() -> Builder<Vec<u8>> {
    static ENTRIES: OnceLock<Vec<u8>> = OnceLock::new();
    let entries = ENTRIES.get_or_init(|| {
        let applets = std::process::Command::new("/bin/busybox")
            .arg("--list")
            .output()
            .expect("busybox");
        let applets = String::from_utf8(applets.stdout).expect("names of applets");
        let mut archive = Builder::new(Vec::new());
        for (folder, mode) in [
            ("bin", 0o755),
            ("etc", 0o755),
            ("root", 0o700),
            ("tmp", 0o1777),
        ] {
            let mut header = header(EntryType::Directory, mode, 0);
            archive
                .append_data(&mut header, folder, &[][..])
                .expect("a folder");
        }
        let busybox = busybox();
        let mut file = header(EntryType::Regular, 0o755, busybox.len());
        archive
            .append_data(&mut file, "bin/busybox", &busybox[..])
            .expect("busybox");
        let users = b"root:x:0:0:root:/root:/bin/sh\n";
        let mut file = header(EntryType::Regular, 0o644, users.len());
        archive
            .append_data(&mut file, "etc/passwd", &users[..])
            .expect("users");
        for applet in applets.lines().filter(|applet| *applet != "busybox") {
            let mut link = header(EntryType::Symlink, 0o777, 0);
            archive
                .append_link(&mut link, Path::new("bin").join(applet), "busybox")
                .expect("a link");
        }
        // Without the end mark that closing it would write.
        archive.get_ref().clone()
    });
    Builder::new(entries.clone())
}

fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size as u64);
    header
}
