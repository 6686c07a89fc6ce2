//! Streams begin at once, lose nothing, and end with the agent.

use axum::body::Body;
use http_body_util::BodyExt;

use super::super::*;
use super::device;

async fn chunk(body: &mut Body) -> Option<String> {
    let frame = body.frame().await?.unwrap();
    Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn the_log_stream_greets_at_once_and_ends_with_the_agent() {
    let device = device(None);
    let request = Request::get("/v2/local/logs").body(Body::empty()).unwrap();
    let response = device.ask(request).await;
    assert!(!response.headers().contains_key(header::CONTENT_TYPE));
    // Between the answer's head and the first look at its body: not lost.
    device.agent.logs.system("Creating network 'default'");
    let mut body = response.into_body();
    assert_eq!(
        chunk(&mut body).await.unwrap(),
        "{\"message\":\"Streaming logs\",\"isSystem\":true}\n"
    );
    let line = chunk(&mut body).await.unwrap();
    assert!(
        line.starts_with(r#"{"message":"Creating network 'default'","isSystem":true,"timestamp":"#),
        "{line}"
    );
    device.stop.send_replace(true);
    assert_eq!(chunk(&mut body).await, None);
}

#[tokio::test]
async fn a_follower_gets_the_present_report_and_then_only_the_newest() {
    let device = device(None);
    let request = Request::get("/os/v1/report?follow=true")
        .body(Body::empty())
        .unwrap();
    let mut body = device.ask(request).await.into_body();
    assert!(
        chunk(&mut body)
            .await
            .unwrap()
            .starts_with(r#"{"generation":0,"state":"applying""#)
    );
    for generation in 1..=50 {
        device
            .snapshots
            .send_modify(|snapshot| Arc::make_mut(snapshot).report.generation = generation);
    }
    let line = chunk(&mut body).await.unwrap();
    assert!(line.starts_with(r#"{"generation":50,"#), "{line}");
    device.stop.send_replace(true);
    assert_eq!(chunk(&mut body).await, None);
}
