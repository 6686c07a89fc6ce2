//! Projects that the tests push, and what became of them on a device.

use std::collections::BTreeMap;

use bollard::query_parameters::ListContainersOptionsBuilder;
use testkit::{Engine, Workstation};

/// A service that says where its files are from and ends at once when it is told to.
const DOCKERFILE: &str =
    "FROM os-test/busybox\nCOPY . /app\nWORKDIR /app\nCMD [\"sh\", \"run.sh\"]\n";
const RUN: &str = "trap 'exit 0' TERM\ncat message\nsleep 1000000 & wait\n";

/// A project of one Dockerfile in `folder`.
pub(crate) fn single(workstation: &Workstation, folder: &str) {
    workstation.write(format!("{folder}/Dockerfile"), DOCKERFILE);
    workstation.write(format!("{folder}/run.sh"), RUN);
    workstation.write(
        format!("{folder}/message"),
        "hello from the single service\n",
    );
}

/// A project of two services, `web` and `worker`, in `folder`.
pub(crate) fn compose(workstation: &Workstation, folder: &str) {
    workstation.write(
        format!("{folder}/docker-compose.yml"),
        "services:\n\
         \x20 web:\n    build: ./web\n    ports: [\"8081:8080\"]\n    depends_on: [worker]\n\
         \x20   environment:\n      GREETING: hello\n\
         \x20 worker:\n    build: ./worker\n    volumes: [\"data:/data\"]\n\
         volumes:\n  data: {}\n",
    );
    for service in ["web", "worker"] {
        single(workstation, &format!("{folder}/{service}"));
        workstation.write(
            format!("{folder}/{service}/message"),
            format!("hello from {service}\n"),
        );
    }
}

/// Running containers: names and ids.
pub(crate) async fn running(engine: &Engine) -> BTreeMap<String, String> {
    let client = engine.client().await;
    let running = ListContainersOptionsBuilder::new().build();
    client
        .list_containers(Some(running))
        .await
        .expect("a list")
        .into_iter()
        .map(|container| {
            let name = container
                .names
                .and_then(|names| names.into_iter().next())
                .expect("a name");
            (
                name.trim_start_matches('/').to_owned(),
                container.id.expect("an id"),
            )
        })
        .collect()
}
