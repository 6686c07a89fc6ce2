//! Which files are chosen.

use super::{Project, paths, said};
use crate::project::context::{ContextRequest, prepare};

#[test]
fn ignored_folders_are_not_even_read() {
    let project = Project::new(&[
        ("Dockerfile", "FROM scratch\n"),
        (".dockerignore", "node_modules\nkeep\n!keep/a\n"),
        // Would be warned about if it were seen.
        ("node_modules/x/.dockerignore", ""),
        ("node_modules/x/Dockerfile", ""),
        ("keep/a", ""),
        ("keep/b", ""),
    ]);
    let context = project.context();
    assert_eq!(
        paths(&context),
        [".dockerignore", "Dockerfile", "keep/", "keep/a"]
    );
    assert_eq!(context.warnings, []);
}

#[test]
fn version_control_and_metadata_stay_at_home() {
    let project = Project::new(&[
        ("Dockerfile", "FROM scratch\n"),
        (".git/config", ""),
        ("sub/.git", "gitdir: x"),
        (".balena/balena.yml", ""),
        (".balena/secrets/s", "secret"),
        (".resin/x", ""),
        (".gitignore", ""),
        ("sub/.balena/x", ""),
    ]);
    assert_eq!(
        paths(&project.context()),
        [
            ".gitignore",
            "Dockerfile",
            "sub/",
            "sub/.balena/",
            "sub/.balena/x"
        ]
    );
}

#[test]
fn the_engine_gets_dockerfile_and_ignore_file_even_when_they_are_ignored() {
    let mut project = Project::new(&[
        (".dockerignore", "*\n"),
        ("docker/prod.df", "FROM scratch\n"),
        ("x", ""),
    ]);
    project.build.dockerfile = Some("./docker/../docker/prod.df".into());
    let context = project.context();
    assert_eq!(context.dockerfile, "docker/prod.df");
    assert_eq!(
        paths(&context),
        [".dockerignore", "docker/", "docker/prod.df"]
    );
}

#[test]
fn a_file_named_like_the_dockerfile_decides_what_is_ignored() {
    let project = Project::new(&[
        ("Dockerfile", "FROM scratch\n"),
        (".dockerignore", "a"),
        ("Dockerfile.dockerignore", "b"),
        ("a", ""),
        ("b", ""),
    ]);
    let context = project.context();
    assert_eq!(
        paths(&context),
        [
            ".dockerignore",
            "Dockerfile",
            "Dockerfile.dockerignore",
            "a"
        ]
    );
    assert!(
        said(&context).contains("not used, because only Dockerfile.dockerignore counts"),
        "{}",
        said(&context)
    );
}

#[test]
fn the_project_s_ignore_file_holds_for_its_services() {
    let mut project = Project::new(&[
        (".dockerignore", "web/tmp\ntmp2\n"),
        ("web/Dockerfile", "FROM scratch\n"),
        ("web/.dockerignore", "keep"),
        ("web/tmp/x", ""),
        ("web/tmp2", ""),
        ("web/keep", ""),
    ]);
    project.build.context = project.root().join("web");
    let context = project.context();
    assert_eq!(
        paths(&context),
        [".dockerignore", "Dockerfile", "keep", "tmp2"]
    );
    assert!(
        said(&context).contains("web/.dockerignore"),
        "{}",
        said(&context)
    );

    project.each = true;
    project.contexts = vec![project.root().join("web")];
    let context = project.context();
    assert_eq!(
        paths(&context),
        [".dockerignore", "Dockerfile", "tmp/", "tmp/x", "tmp2"]
    );
    assert_eq!(context.warnings, []);

    project.each = false;
    project.write(".dockerignore", "web\n!web/keep\n");
    let context = project.context();
    assert_eq!(paths(&context), ["Dockerfile", "keep"]);
    assert!(
        said(&context).contains("ignores the build context of service web"),
        "{}",
        said(&context)
    );
}

#[test]
fn each_service_s_folder_obeys_its_own_ignore_file() {
    let mut project = Project::new(&[
        ("Dockerfile", "FROM scratch\n"),
        (".dockerignore", "*.log\nservices\n"),
        ("a.log", ""),
        ("services/other", ""),
        ("services/web/Dockerfile", "FROM scratch\n"),
        ("services/web/.dockerignore", "tmp\n"),
        ("services/web/b.log", ""),
        ("services/web/tmp", ""),
        ("services/web2/c.log", ""),
        ("lib/.dockerignore", "x"),
    ]);
    project.each = true;
    project.contexts = vec![
        project.root().to_owned(),
        project.root().join("services/web"),
    ];
    let context = project.context();
    assert_eq!(
        paths(&context),
        [
            ".dockerignore",
            "Dockerfile",
            "lib/",
            "lib/.dockerignore",
            "services/",
            "services/web/",
            "services/web/.dockerignore",
            "services/web/Dockerfile",
            "services/web/b.log",
        ]
    );
    assert_eq!(
        said(&context),
        "not used, because its folder is no service's build context: lib/.dockerignore"
    );
}

#[test]
fn a_context_outside_the_project_obeys_its_own_ignore_file() {
    let mut project = Project::new(&[
        ("app/.dockerignore", "a\n"),
        ("shared/Dockerfile", "FROM scratch\n"),
        ("shared/.dockerignore", "b\n"),
        ("shared/a", ""),
        ("shared/b", ""),
    ]);
    project.build.context = project.root().join("app/../shared");
    let context = prepare(&ContextRequest {
        project_root: &project.root().join("app"),
        service: "web",
        build: &project.build,
        contexts: &[],
        multi_dockerignore: false,
        cache_dir: None,
        device_type: "x",
        arch: "y",
        is_live: false,
    })
    .unwrap();
    assert_eq!(paths(&context), [".dockerignore", "Dockerfile", "a"]);
    project.build.context = project.root().join("app");
    assert!(project.prepare().is_err());
}
