//! Every starter project is written, pushed and answered.

use testkit::until;

use crate::simulated::{port, traces, workstation};

#[tokio::test]
async fn every_template_answers_and_speaks() {
    let (workstation, engine) = workstation(None).await;
    let before = traces(&workstation, &engine).await;
    let expectations = [
        // Template, what its page holds, what its log holds.
        ("web", "It works", "hello from device"),
        ("web-and-worker", "Worker: measurement", "measurement 1"),
    ];
    let list = workstation.os(&["new", "--json"]).await;
    list.success();
    assert_eq!(
        list.stdout.lines().count(),
        expectations.len(),
        "a template is not tested: {list}"
    );
    for (template, page, line) in expectations {
        workstation
            .os(&["simulate", "--name", "demo"])
            .await
            .success();
        workstation.os(&["new", template]).await.success();
        let push = workstation
            .os(&["push", "demo", "--source", template, "--detached"])
            .await;
        push.success();
        let http = port(&workstation, "demo", 80).await;
        until(
            &format!("the page of {template} holds `{page}`"),
            async || {
                let request = testkit::http::request("GET", "/", None);
                let answer = http.try_request(request).await.ok()?;
                String::from_utf8_lossy(&answer.body)
                    .contains(page)
                    .then_some(())
            },
        )
        .await;
        until(
            &format!("the log of {template} holds `{line}`"),
            async || {
                let logs = workstation
                    .os(&["logs", "demo", "--tail", "100", "--no-follow"])
                    .await;
                logs.stdout.contains(line).then_some(())
            },
        )
        .await;
        workstation.os(&["simulate", "--stop"]).await.success();
        assert_eq!(traces(&workstation, &engine).await, before);
    }
}
