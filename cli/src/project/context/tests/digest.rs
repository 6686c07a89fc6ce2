//! What the digest sees.

use super::Project;

#[test]
fn the_digest_follows_every_change_but_times() {
    let mut project = Project::new(&[("Dockerfile", "FROM scratch\n"), ("a", "1"), ("d/b", "2")]);
    project.link("l", "a");
    let first = project.digest();
    assert_eq!(first.len(), 64);
    assert_eq!(project.digest(), first);
    let touch = || {
        let file = fs_err::OpenOptions::new()
            .write(true)
            .open(project.root().join("a"))
            .unwrap();
        file.file()
            .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000))
            .unwrap();
    };
    touch();
    assert_eq!(project.digest(), first, "a time counts");

    let mut seen = vec![first];
    let mut differs = |project: &Project, what: &str| {
        let digest = project.digest();
        assert!(!seen.contains(&digest), "{what} does not count");
        seen.push(digest);
    };
    project.write("a", "3");
    differs(&project, "content");
    project.mode("a", 0o755);
    differs(&project, "a mode");
    project.write("c", "");
    differs(&project, "a new file");
    fs_err::rename(project.root().join("c"), project.root().join("e")).unwrap();
    differs(&project, "a name");
    fs_err::create_dir(project.root().join("f")).unwrap();
    differs(&project, "an empty folder");
    project.mode("f", 0o711);
    differs(&project, "a folder's mode");
    fs_err::remove_file(project.root().join("l")).unwrap();
    differs(&project, "a removed link");
    project.link("l", "d");
    differs(&project, "a link's target");
    project.write("Dockerfile", "FROM scratch\nCMD x\n");
    differs(&project, "the Dockerfile");
    project.build.args.insert("A".into(), "1".into());
    differs(&project, "an argument");
    project.build.args.insert("A".into(), "2".into());
    differs(&project, "an argument's value");
    project.build.labels.insert("A".into(), "2".into());
    differs(&project, "a label");
    project.build.target = Some("x".into());
    differs(&project, "the target");
    project.build.shm_size = Some(1);
    differs(&project, "the size of shared memory");
    project.build.extra_hosts = vec!["a:1".into()];
    differs(&project, "a host");
    project.write("Dockerfile.aarch64", "FROM scratch\nCMD x\n");
    differs(&project, "another Dockerfile");
}
