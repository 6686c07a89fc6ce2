//! How a container is read while it runs, from an engine that is played.

use super::super::following::{Ended, follow};
use super::super::silence::Silence;
use super::super::source::Source;
use super::engine::{Answer, Container, Engine, Message, container, message};
use super::*;

fn source() -> Source {
    Source {
        id: container(1, "one", &[]).id.as_str().into(),
        service: "one".to_owned(),
        service_id: None,
    }
}

/// Follows the container to its end, or for ever.
async fn followed(engine: &Engine, hub: &Hub, silence: Silence) -> Ended {
    let places = Mutex::new(Places::new(0, []));
    follow(&engine.connected, &source(), &places, hub, silence).await
}

/// What a client gets next: a line, or what is said about the log.
async fn next(client: &mut Subscription) -> String {
    match tokio::time::timeout(Duration::from_mins(1), client.next()).await {
        Ok(Taken::Line(line)) => line.text.message.clone(),
        Ok(Taken::Notice(notice)) => format!("! {}", notice.message),
        Ok(Taken::Dropped(dropped)) => format!("! {} dropped", dropped.lines),
        Err(_) => "! nothing".to_owned(),
    }
}

#[tokio::test]
async fn what_the_engine_says_in_a_stream_is_no_line_and_no_end() {
    let words = "Error grabbing logs: invalid character";
    let engine = Engine::start(vec![Container {
        answer: Answer::Words(words),
        ..container(1, "one", &[message(1, "1"), message(2, "2")])
    }]);
    let hub = hub();
    let mut client = listen(&hub);
    let ended = followed(&engine, &hub, Silence::default()).await;
    assert_eq!(ended, Ended::Failed(words.to_owned()));
    assert_eq!(drain(&mut client).len(), 2);
}

#[tokio::test]
async fn an_engine_that_cannot_give_lines_is_not_asked_again_and_again() {
    let hub = hub();
    for (status, ended) in [
        (501, Ended::Refused("it is refused".to_owned())),
        (500, Ended::Broken),
        (404, Ended::Gone),
        (409, Ended::Gone),
    ] {
        let engine = Engine::start(vec![Container {
            answer: Answer::Status(status),
            ..container(1, "one", &[])
        }]);
        let how = followed(&engine, &hub, Silence::default()).await;
        assert_eq!(how, ended, "{status}");
    }
}

/// What a client is told of a service whose last line the journal keeps back; `forgets`: it gives the lines before up meanwhile.
async fn told_of_a_quiet_service(forgets: bool) -> Vec<String> {
    let engine = Engine::start(vec![Container {
        driver: "journald",
        // Its stream is open and silent, and whoever asks anew gets it.
        later: vec![message(3, "kept back")],
        forgets,
        ..container(1, "one", &[message(1, "1"), message(2, "2")])
    }]);
    let hub = hub();
    let mut client = listen(&hub);
    let short = Duration::from_millis(10);
    let reading = followed(&engine, &hub, Silence::new(short, short));
    let told = async {
        let mut told = Vec::new();
        while told.last().is_none_or(|last| last != "kept back") {
            told.push(next(&mut client).await);
            if told.last().is_some_and(|last| last.starts_with('!')) {
                return told;
            }
        }
        // It is asked anew again and again.
        let enough = |times: &usize| *times >= 5;
        drop(engine.asked_for_lines().wait_for(enough).await);
        told.extend(drain(&mut client).iter().map(|more| format!("{more:?}")));
        told
    };
    tokio::select! {
        ended = reading => panic!("it ended: {ended:?}"),
        told = told => told,
    }
}

#[tokio::test]
async fn a_line_that_the_journal_kept_back_is_told_once_without_another_one_being_written() {
    let told = told_of_a_quiet_service(false).await;
    assert_eq!(told, ["1", "2", "kept back"]);
}

#[tokio::test]
async fn who_was_told_all_along_misses_nothing_that_the_journal_gives_up() {
    let told = told_of_a_quiet_service(true).await;
    assert_eq!(told, ["1", "2", "kept back"]);
}

#[tokio::test]
async fn the_last_words_that_the_journal_kept_back_are_told_at_the_end() {
    let engine = Engine::start(vec![Container {
        driver: "journald",
        later: vec![message(2, "bye")],
        answer: Answer::Ended,
        ..container(1, "one", &[message(1, "1")])
    }]);
    let hub = hub();
    let mut client = listen(&hub);
    let ended = followed(&engine, &hub, Silence::default()).await;
    assert_eq!(ended, Ended::Whole);
    assert_eq!(
        [next(&mut client).await, next(&mut client).await],
        ["1", "bye"]
    );
    assert!(drain(&mut client).is_empty());
    // Until there is nothing more.
    assert_eq!(*engine.asked_for_lines().borrow(), 3);
}

#[tokio::test]
async fn a_file_that_is_silent_is_believed() {
    let engine = Engine::start(vec![Container {
        driver: "json-file",
        later: vec![message(2, "not yet written")],
        ..container(1, "one", &[message(1, "1")])
    }]);
    let hub = hub();
    let mut client = listen(&hub);
    let reading = followed(&engine, &hub, Silence::new(Duration::ZERO, Duration::ZERO));
    tokio::select! {
        ended = reading => panic!("it ended: {ended:?}"),
        told = next(&mut client) => assert_eq!(told, "1"),
    }
    assert_eq!(*engine.asked_for_lines().borrow(), 1);
}

#[tokio::test]
async fn a_service_that_withholds_lines_is_heard_in_full_by_who_names_it() {
    let both = |number| {
        let err = Message {
            is_std_err: true,
            ..message(number, &format!("err {number}"))
        };
        [message(number, &format!("out {number}")), err]
    };
    for (level, heard, last) in [
        (
            "BALENA_LOGS_LEVEL=error",
            &["err 1", "err 2"][..],
            &["err 2", "err 3"][..],
        ),
        ("BALENA_LOGS_LEVEL=none", &[], &[]),
    ] {
        let engine = Engine::start(vec![Container {
            environment: vec![level],
            answer: Answer::Cut,
            ..container(1, "one", &[both(1), both(2)].concat())
        }]);
        let hub = hub();
        let wanted = |services: &[&str]| Wanted {
            services: services.iter().map(|name| (*name).to_owned()).collect(),
            ..Wanted::default()
        };
        // While it is written.
        let (mut all, mut named) = (hub.subscribe(wanted(&[])), hub.subscribe(wanted(&["one"])));
        assert_eq!(
            followed(&engine, &hub, Silence::default()).await,
            Ended::Broken
        );
        let texts = |client: &mut Subscription| -> Vec<String> {
            let taken = drain(client).into_iter();
            taken
                .map(|taken| match taken {
                    Taken::Line(line) => line.text.message.clone(),
                    other => format!("{other:?}"),
                })
                .collect()
        };
        assert_eq!(texts(&mut all), heard, "{level}");
        assert_eq!(texts(&mut named), ["out 1", "err 1", "out 2", "err 2"]);
        // As past: the last ones are counted among those that are told.
        let engine = Engine::start(vec![Container {
            environment: vec![level],
            ..container(1, "one", &[both(1), both(2), both(3)].concat())
        }]);
        let past = async |wanted: Wanted| {
            let asked = Asked {
                wanted,
                tail: Some(2),
                once: true,
                ..Asked::default()
            };
            let mut replay = Replay::new(&hub, engine.link(), None, asked);
            let mut told = Vec::new();
            while let Some(delivery) = replay.next().await {
                told.push(match delivery {
                    Delivery::Line(line) => line.text.message.clone(),
                    Delivery::Notice(notice) => format!("! {}", notice.message),
                });
            }
            told
        };
        assert_eq!(past(wanted(&[])).await, last, "{level}");
        assert_eq!(past(wanted(&["one"])).await, ["out 3", "err 3"]);
    }
}
