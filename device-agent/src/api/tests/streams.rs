//! Streams begin at once, lose nothing, and end with the agent.

use axum::body::Body;
use axum::http::{Request, header};
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

/// The lines of an answer that ends.
async fn lines(device: &super::Device, path: &str) -> Vec<serde_json::Value> {
    let (status, kind, body) = device.get(path).await;
    assert_eq!((status, kind.as_str()), (200, "application/x-ndjson"));
    body.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn the_agents_own_past_is_told_without_an_engine_and_gone_on_from() {
    let device = device(None);
    for message in ["one", "two", "three"] {
        device.agent.logs.system(message);
    }
    let away = Link::Down("nobody answers".to_owned());
    device.link.send_replace(away);
    let told = lines(&device, "/os/v1/logs?tail=2&follow=false").await;
    let messages: Vec<_> = told
        .iter()
        .map(|line| line["message"].as_str().unwrap())
        .collect();
    assert_eq!(
        messages,
        [
            "Streaming logs",
            "past lines are missing, the engine is away: nobody answers",
            "two",
            "three"
        ]
    );
    assert_eq!(told[1]["isNotice"], true);
    assert_eq!(told[1].get("cursor"), None);
    let two = told[2]["cursor"].as_str().unwrap();
    let told = lines(&device, &format!("/os/v1/logs?after={two}&follow=false")).await;
    assert_eq!(told.last().unwrap()["message"], "three");
    assert_eq!(told.len(), 3, "{told:?}");
    let none = lines(&device, "/os/v1/logs?tail=2&system=false&follow=false").await;
    assert_eq!(none.len(), 2, "{none:?}");
}

#[tokio::test]
async fn who_follows_is_told_what_it_waits_for() {
    let device = device(None);
    device
        .link
        .send_replace(Link::Down("nobody answers".to_owned()));
    let request = Request::get("/os/v1/logs?tail=1")
        .body(Body::empty())
        .unwrap();
    let mut body = device.ask(request).await.into_body();
    assert!(chunk(&mut body).await.unwrap().contains("Streaming logs"));
    let notice = chunk(&mut body).await.unwrap();
    assert!(
        notice.contains("past lines come when the engine is back: nobody answers"),
        "{notice}"
    );
}

#[tokio::test]
async fn an_answer_that_the_agents_end_cuts_off_does_not_look_whole() {
    let device = device(None);
    device
        .link
        .send_replace(Link::Down("nobody answers".to_owned()));
    for path in ["/os/v1/logs?tail=1", "/os/v1/logs"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let mut body = device.ask(request).await.into_body();
        assert!(chunk(&mut body).await.unwrap().contains("Streaming logs"));
        device.stop.send_replace(true);
        let cut_off = loop {
            match body.frame().await {
                Some(Ok(_)) => {}
                end => break end,
            }
        };
        let error = cut_off.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the agent ends");
        assert!(body.frame().await.is_none());
    }
}

#[tokio::test]
async fn a_cap_is_told() {
    let device = device(None);
    device
        .link
        .send_replace(Link::Down("nobody answers".to_owned()));
    let told = lines(&device, "/os/v1/logs?tail=100001&follow=false").await;
    assert_eq!(told[1]["message"], "only the last 100000 lines are told");
    let (status, _, body) = device.get("/os/v1/logs?since=yesterday").await;
    assert_eq!(status, 400);
    assert!(body.contains(r#""code":"invalid-query""#), "{body}");
}
