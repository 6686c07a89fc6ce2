//! A registry that is reached by a bad line: what is cut off goes on, and what can never be had is said at once.

use std::cell::{Cell, RefCell};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use testkit::target::IDLE;
use testkit::{Device, Namespace, Registry, Target, image};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::images::{FLEET_TARGET, fleet, has_applied};

/// Where the bad line to [`Registry::HOST`] begins.
const THROUGH: &str = "127.0.0.1:5001";
/// A line breaks when one connection has brought so many bytes: in the middle of the image's layer.
const BREAKS_AFTER: usize = 300 * 1024;

/// A line to the registry that breaks once.
struct BadLine<'a> {
    machine: &'a Namespace,
    listener: TcpListener,
    has_broken: Cell<bool>,
    /// Everything that the engine sent.
    asked: RefCell<Vec<u8>>,
}

impl<'a> BadLine<'a> {
    fn new(machine: &'a Namespace) -> Self {
        let at = THROUGH.parse().unwrap();
        Self {
            machine,
            listener: machine.listen(at).unwrap(),
            has_broken: Cell::new(false),
            asked: RefCell::default(),
        }
    }

    /// Carries connections, for ever.
    async fn carry(&self) {
        let mut connections = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => connections.push(self.connection(accepted.unwrap().0)),
                Some(()) = connections.next() => {}
            }
        }
    }

    async fn connection(&self, mut engine: TcpStream) {
        let mut registry = self
            .machine
            .connect(Registry::HOST.parse().unwrap())
            .unwrap();
        let (mut there, mut back, mut brought) = (vec![0; 16 * 1024], vec![0; 16 * 1024], 0);
        loop {
            // An end or an error of one side is one of both.
            tokio::select! {
                read = engine.read(&mut there) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(length) => {
                        let piece = &there[..length];
                        self.asked.borrow_mut().extend_from_slice(piece);
                        if registry.write_all(piece).await.is_err() { return; }
                    }
                },
                read = registry.read(&mut back) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(length) => {
                        let piece = &back[..length];
                        brought += piece.len();
                        if engine.write_all(piece).await.is_err() { return; }
                        if brought > BREAKS_AFTER && !self.has_broken.replace(true) { return; }
                    }
                },
            }
        }
    }

    fn was_asked_for(&self, words: &str) -> bool {
        String::from_utf8_lossy(&self.asked.borrow())
            .to_ascii_lowercase()
            .contains(words)
    }
}

/// The layers of the first image, with bytes here and bytes in all.
fn layers(report: &Value) -> Vec<(u64, u64)> {
    let layers = report["images"][0]["layers"].as_array();
    let number = |layer: &Value, key: &str| layer[key].as_u64().expect("bytes");
    layers
        .into_iter()
        .flatten()
        .map(|layer| (number(layer, "current"), number(layer, "total")))
        .collect()
}

#[tokio::test]
async fn a_layer_that_is_cut_off_is_fetched_from_where_it_was() {
    let device = Device::start_configured(&fleet(THROUGH)).await;
    let registry = Registry::start(&device.machine).await;
    let engine = device.engine.client().await;
    image::make_service(&engine, "web", IDLE).await;
    let reference = registry
        .take(&engine, "local_image_web:latest", "v2/web")
        .await
        .replace(Registry::HOST, THROUGH);
    let line = BadLine::new(&device.machine);
    let target = Target::of(&[("web", IDLE)]).with("web", "image", json!(reference));
    let endpoint = device.agent.endpoint();
    let fetched = async {
        let posted = endpoint.post(FLEET_TARGET, target.text()).await;
        assert!(posted.status.is_success(), "{}", posted.text());
        let mut reports = endpoint.lines("/os/v1/report?follow=true").await;
        let mut was_partly_here = false;
        let has_applied = has_applied("web");
        reports
            .find(|report| {
                assert_ne!(
                    report["state"], "failing",
                    "one pull does it, the broken line included: {report}"
                );
                was_partly_here |= layers(report)
                    .iter()
                    .any(|(here, all)| (1..*all).contains(here));
                has_applied(report)
            })
            .await;
        was_partly_here
    };
    let was_partly_here = tokio::select! {
        () = line.carry() => unreachable!("it carries for ever"),
        was_partly_here = fetched => was_partly_here,
    };
    assert!(line.has_broken.get(), "the layer is too small");
    assert!(
        line.was_asked_for("range: bytes="),
        "the layer was fetched from its beginning once more"
    );
    assert!(was_partly_here, "no report told how far the layer was");
}

#[tokio::test]
async fn an_image_that_its_registry_does_not_have_is_said_at_once() {
    let device = Device::start_configured(&fleet(Registry::HOST)).await;
    let _registry = Registry::start(&device.machine).await;
    let reference = format!("{}/v2/nothing:latest", Registry::HOST);
    let target = Target::of(&[("web", IDLE)]).with("web", "image", json!(reference));
    let endpoint = device.agent.endpoint();
    let posted = endpoint.post(FLEET_TARGET, target.text()).await;
    assert!(posted.status.is_success(), "{}", posted.text());
    let mut reports = endpoint.lines("/os/v1/report?follow=true").await;
    let failing = reports.find(|report| report["state"] == "failing").await;
    let why = failing["waiting"].as_str().expect("why");
    assert!(
        why.contains(&reference) && why.contains("not found"),
        "{why}"
    );
}
