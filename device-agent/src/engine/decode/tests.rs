//! What is ours on an engine that others use, too. Whole answers are read in `plan/tests`.

use std::collections::HashMap;

use bollard::models::{
    ContainerConfig, ContainerInspectResponse, ContainerState as State, ContainerStateStatusEnum,
    Network, Volume,
};

use super::{NotOurs, container, network, volume};
use crate::model::{Confinement, ContainerState};

fn simulated() -> Confinement {
    Confinement {
        namespace: "5eee5ee".to_owned(),
        address: "127.71.3.4".parse().unwrap(),
        allow_privileged: false,
    }
}

fn labels(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    pairs.iter().map(owned).collect()
}

fn answer(name: &str, pairs: &[(&str, &str)]) -> ContainerInspectResponse {
    ContainerInspectResponse {
        id: Some("a".repeat(64)),
        name: Some(format!("/{name}")),
        created: Some("2026-11-23T03:29:03.56920574Z".to_owned()),
        state: Some(State {
            status: Some(ContainerStateStatusEnum::EXITED),
            started_at: Some("2026-11-23T03:29:04Z".to_owned()),
            exit_code: Some(3),
            ..State::default()
        }),
        config: Some(ContainerConfig {
            labels: Some(labels(pairs)),
            ..ContainerConfig::default()
        }),
        ..ContainerInspectResponse::default()
    }
}

const OURS: [(&str, &str); 4] = [
    ("io.balena.supervised", "true"),
    ("io.balena.app-id", "1"),
    ("io.balena.service-id", "2"),
    ("io.balena.service-name", "my_web"),
];

#[test]
fn a_container_is_placed_by_its_labels_and_its_name() {
    let found = container(&answer("my_web_3_4_123456", &OURS), None).unwrap();
    assert_eq!((found.app_id, found.service_id), (1, 2));
    assert_eq!((found.image_id, found.release_id), (3, 4));
    assert_eq!(found.commit.as_deref(), Some("123456"));
    assert_eq!(found.app_uuid, "1");
    assert_eq!(found.state, ContainerState::Exited);
    assert_eq!((found.exit_code, found.ever_started), (Some(3), true));
    assert_eq!(found.created, 1_795_404_543_569);
}

#[test]
fn a_strange_name_is_no_obstacle() {
    for name in ["other", "my_web", "my_web_x_4_c", "my_web_3"] {
        let found = container(&answer(name, &OURS), None).unwrap();
        assert_eq!((found.commit, found.image_id), (None, 0));
    }
}

#[test]
fn the_older_spelling_of_labels_is_read() {
    let older = OURS.map(|(key, value)| (key.replace("balena", "resin"), value));
    let older: Vec<_> = older.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    assert_eq!(
        container(&answer("my_web_3_4_c", &older), None)
            .unwrap()
            .app_id,
        1
    );
}

#[test]
fn labels_that_are_missing_or_wrong_are_a_fault() {
    for index in 1..OURS.len() {
        let mut pairs = OURS.to_vec();
        pairs.remove(index);
        let found = container(&answer("x", &pairs), None);
        assert!(matches!(found, Err(NotOurs::Unplaceable { .. })), "{index}");
    }
    let mut pairs = OURS;
    pairs[1].1 = "one";
    let error = container(&answer("x", &pairs), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "x: its label io.balena.app-id is no number"
    );
}

#[test]
fn devices_on_one_engine_do_not_see_each_other() {
    let confinement = simulated();
    let mut marked = OURS.to_vec();
    marked.push((Confinement::LABEL, "5eee5ee"));
    let mut sibling = OURS.to_vec();
    sibling.push((Confinement::LABEL, "other"));
    let name = "my_web_3_4_c_5eee5ee";
    let mine = container(&answer(name, &marked), Some(&confinement)).unwrap();
    assert_eq!(mine.commit.as_deref(), Some("c"));
    let foreign = |pairs: &[(&str, &str)], confinement: Option<&Confinement>| {
        let found = container(&answer(name, pairs), confinement);
        matches!(found, Err(NotOurs::OtherOwner { .. }))
    };
    assert!(foreign(&marked, None));
    assert!(foreign(&OURS, Some(&confinement)));
    assert!(foreign(&sibling, Some(&confinement)));
    assert!(foreign(&[("a", "b")], None));
}

#[test]
fn networks_and_volumes_lose_their_prefixes() {
    let listed = Network {
        name: Some("5eee5ee_1_my_net".to_owned()),
        labels: Some(labels(&[OURS[0], OURS[1], (Confinement::LABEL, "5eee5ee")])),
        ..Network::default()
    };
    let found = network(&listed, Some(&simulated())).unwrap();
    assert_eq!((found.app_id, found.logical_name.as_str()), (1, "my_net"));
    let listed = |name: &str| Volume {
        name: name.to_owned(),
        driver: "local".to_owned(),
        labels: labels(&[OURS[0]]),
        ..Volume::default()
    };
    let found = volume(&listed("12_my_data"), None).unwrap();
    assert_eq!((found.app_id, found.logical_name.as_str()), (12, "my_data"));
    assert!(volume(&listed("extra-firmware"), None).is_err());
}
