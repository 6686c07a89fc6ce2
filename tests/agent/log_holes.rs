//! Lines that cannot be told any more are said to be missing, and no others are.

use testkit::agent::Settings;
use testkit::{Agent, Device, Engine, Namespace, until};

use crate::log_client::{COUNT, Client, kept, target};

#[tokio::test]
async fn own_lines_that_are_gone_are_said_to_be() {
    let mut device = Device::start().await;
    let mut client = Client::default();
    let mut lines = device.agent.endpoint().lines("/os/v1/logs").await;
    device.converge(&target(&["one"], COUNT).text()).await;
    client
        .read_until(&mut lines, "line of the agent", |client| {
            !client.own.is_empty()
        })
        .await;
    drop(lines);
    device.agent.kill().await;
    // As after a start of the system: nothing that lies beside the socket outlasts it.
    fs_err::remove_file(device.agent.socket().with_extension("lines")).unwrap();
    device.agent.resume(&device.machine).await;
    let mut lines = device.agent.endpoint().lines(&client.path()).await;
    let notice = lines.find(|line| line["isNotice"] == true).await;
    assert_eq!(
        notice["message"],
        "lines of the device itself may be missing: it has started anew and kept none"
    );
}

#[tokio::test]
async fn lines_that_the_engine_has_given_up_are_said_to_be_missing() {
    let machine = Namespace::new();
    let few = ["--log-opt=max-size=4k", "--log-opt=max-file=1"];
    let engine = Engine::start_with(&machine, &few).await;
    let agent = Agent::start(&machine, Settings::new(engine.socket())).await;
    let device = Device {
        agent,
        engine,
        machine,
        address: None,
    };
    let mut client = Client::default();
    let mut lines = device.agent.endpoint().lines("/os/v1/logs").await;
    device.converge(&target(&["one"], COUNT).text()).await;
    client.read(&mut lines, &["one"], 5).await;
    drop(lines);
    let key = ("one".to_owned(), false);
    let last = client.got[&key].last().unwrap().clone();
    until("the engine has given up the last line", async || {
        let kept = kept(&device, "one_1_1_10ca12e1ea5e", false).await;
        (!kept.is_empty() && !kept.contains(&last)).then_some(())
    })
    .await;
    let mut lines = device.agent.endpoint().lines(&client.path()).await;
    client.read(&mut lines, &["one"], 5).await;
    let words = "lines of one may be missing: those that were told last are kept no more";
    // The file may begin anew once more before it is read to its end.
    assert!(!client.notices.is_empty());
    for notice in &client.notices {
        assert_eq!(notice, words);
    }
    // Who misses nothing is told nothing.
    drop(lines);
    let engine = device.engine.client().await;
    engine
        .pause_container("one_1_1_10ca12e1ea5e")
        .await
        .unwrap();
    let count = |client: &Client| client.got.values().map(Vec::len).sum::<usize>();
    until("what was on its way is told", async || {
        client.notices.clear();
        let before = count(&client);
        let once = format!("{}&follow=false", client.path());
        let mut rest = device.agent.endpoint().lines(&once).await;
        client.read_all(&mut rest).await;
        (count(&client) == before).then_some(())
    })
    .await;
    assert_eq!(client.notices, [""; 0]);
}

#[tokio::test]
async fn who_follows_is_told_when_the_engine_has_lost_lines() {
    let mut device = Device::start().await;
    let mut client = Client::default();
    let mut lines = device.agent.endpoint().lines("/os/v1/logs").await;
    let report = device.converge(&target(&["one"], COUNT).text()).await;
    client.read(&mut lines, &["one"], 5).await;
    device.engine.stop_service().await;
    let id = report.services[0].container_id.as_ref().unwrap();
    let file = format!("data/containers/{id}/{id}-json.log");
    fs_err::write(device.engine.dir().join(file), "").unwrap();
    device.engine.resume_service(&device.machine).await;
    let told = lines
        .find(|line| {
            let message = line["message"].as_str().unwrap();
            message.starts_with("lines of one may be missing")
        })
        .await;
    assert_eq!(told["isSystem"], true);
    client.read(&mut lines, &["one"], 5).await;
}

#[tokio::test]
async fn the_last_lines_of_a_container_that_is_replaced_arrive_and_its_end_is_remembered() {
    /// Says much when it is told to end.
    const CHATTY: &str = "trap 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo last $i; done; exit 0' TERM; echo up; \
                          while :; do sleep 1000000 & wait $!; done";
    let device = Device::start().await;
    let mut client = Client::default();
    let mut lines = device.agent.endpoint().lines("/os/v1/logs").await;
    client.note(&lines.json().await);
    device.converge(&target(&["one"], CHATTY).text()).await;
    client.read(&mut lines, &["one"], 1).await;
    let away = client.path();
    let next = "echo next; trap 'exit 0' TERM; sleep 1000000 & wait";
    let replacing = target(&["one"], next).text();
    let (_, ()) = tokio::join!(device.converge(&replacing), async {
        client.read(&mut lines, &["one"], 3001).await;
    });
    let mut expected = vec!["up".to_owned()];
    expected.extend((1..=3000).map(|number| format!("last {number}")));
    expected.push("next".to_owned());
    assert_eq!(client.got[&("one".to_owned(), false)], expected);

    // Who has seen the end misses nothing, who has not is told.
    drop(lines);
    let once = format!("{}&follow=false", client.path());
    client
        .read_all(&mut device.agent.endpoint().lines(&once).await)
        .await;
    assert_eq!(client.notices, [""; 0]);
    let mut late = Client::default();
    let once = format!("{away}&follow=false");
    late.read_all(&mut device.agent.endpoint().lines(&once).await)
        .await;
    assert_eq!(late.notices.len(), 1, "{:?}", late.notices);
    assert!(
        late.notices[0].starts_with("lines of one are missing: its container "),
        "{:?}",
        late.notices
    );
    assert_eq!(late.got[&("one".to_owned(), false)], ["next"]);
}
