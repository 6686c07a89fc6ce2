//! What clients are told of the past, from an engine that is played.

use tokio::sync::broadcast;

use super::super::attempts::{Attempts, Part};
use super::super::past::{Past, Place};
use super::engine::{Answer, Container, Engine, Message, container, message};
use super::*;

/// A time in the past.
const T: i64 = 795_000_000_000_000_000;

/// Numbers as lines, each at its own time.
fn numbers(numbers: impl IntoIterator<Item = i64>) -> Vec<Message> {
    numbers
        .into_iter()
        .map(|number| message(T + number, &number.to_string()))
        .collect()
}

fn asked(since: Option<i64>, tail: Option<usize>) -> Asked {
    Asked {
        since,
        tail,
        once: true,
        ..Asked::default()
    }
}

fn replay(hub: &Hub, engine: &Engine, asked: Asked) -> Replay {
    Replay::new(hub, engine.link(), None, asked)
}

/// What comes next; notices begin with `!`.
async fn next(replay: &mut Replay) -> Option<String> {
    let delivery = tokio::time::timeout(Duration::from_mins(1), replay.next());
    match delivery.await.expect("something in time")? {
        Delivery::Line(line) => Some(line.text.message.clone()),
        Delivery::Notice(notice) => Some(format!("! {}", notice.message)),
    }
}

async fn rest(mut replay: Replay) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(text) = next(&mut replay).await {
        told.push(text);
    }
    told
}

async fn told(containers: Vec<Container>, asked: Asked) -> Vec<String> {
    let engine = Engine::start(containers);
    rest(replay(&hub(), &engine, asked)).await
}

fn lines(told: &[String]) -> Vec<&str> {
    let lines = told.iter().filter(|text| !text.starts_with('!'));
    lines.map(String::as_str).collect()
}

#[tokio::test]
async fn the_last_lines_until_a_time_are_counted_from_that_time() {
    let both = || {
        vec![
            container(1, "one", &numbers([1, 3, 5, 7, 9])),
            container(2, "two", &numbers([2, 4, 6, 8])),
        ]
    };
    let until = |until, tail| Asked {
        wanted: Wanted {
            until: Some(T + until),
            ..Wanted::default()
        },
        ..asked(None, Some(tail))
    };
    assert_eq!(told(both(), until(5, 2)).await, ["4", "5"]);
    assert_eq!(told(both(), until(0, 2)).await, [""; 0]);
    assert_eq!(told(both(), asked(None, Some(2))).await, ["8", "9"]);
    assert_eq!(told(both(), asked(Some(T + 8), Some(5))).await, ["8", "9"]);
    assert_eq!(told(vec![], asked(None, Some(2))).await, [""; 0]);
}

#[tokio::test]
async fn the_last_line_of_a_service_that_goes_on_writing_is_found() {
    // Written between the request and its answer.
    let soon = now_nanos() + 3_600_000_000_000;
    let busy = container(1, "one", &[message(T, "old"), message(soon, "new")]);
    assert_eq!(
        told(vec![busy.clone()], asked(None, Some(1))).await,
        ["new"]
    );
    let followed = Asked {
        once: false,
        ..asked(None, Some(1))
    };
    let engine = Engine::start(vec![busy]);
    let mut replay = replay(&hub(), &engine, followed);
    assert_eq!(next(&mut replay).await.unwrap(), "new");
}

#[tokio::test]
async fn the_last_lines_are_counted_among_lines_of_one_time() {
    // A journal gives what it takes at once the same time.
    let same: Vec<Message> = (1..=9).map(|n| message(T, &format!("line {n}"))).collect();
    let told = told(vec![container(1, "web", &same)], asked(None, Some(3))).await;
    assert_eq!(lines(&told), ["line 7", "line 8", "line 9"]);
}

#[tokio::test]
async fn lines_of_two_streams_that_are_out_of_order_are_all_told() {
    let bad = Message {
        is_std_err: true,
        ..message(T + 3, "bad")
    };
    let both = || {
        let (out, end) = (message(T + 1, "out"), message(T + 5, "end"));
        vec![container(1, "one", &[out, end, bad.clone()])]
    };
    let wanted = |wanted, tail| Asked {
        wanted,
        ..asked(None, tail)
    };
    let until = Wanted {
        until: Some(T + 3),
        ..Wanted::default()
    };
    assert_eq!(told(both(), wanted(until, None)).await, ["out", "bad"]);
    let errors = Wanted {
        is_std_err: Some(true),
        ..Wanted::default()
    };
    assert_eq!(told(both(), wanted(errors, Some(1))).await, ["bad"]);
    for (count, last) in [
        (1, &["bad"][..]),
        (2, &["end", "bad"]),
        (3, &["out", "end", "bad"]),
    ] {
        let told = told(both(), asked(None, Some(count))).await;
        assert_eq!(told, last);
    }
}

#[tokio::test]
async fn a_long_line_counts_once() {
    let part = |text: &str| Message {
        text: text.to_owned(),
        ..message(T + 3, "")
    };
    let mut messages = numbers([1, 2]);
    messages.extend([part("a"), part("b"), part("c\n")]);
    let wordy = container(1, "one", &messages);
    assert_eq!(told(vec![wordy], asked(None, Some(2))).await, ["2", "abc"]);
}

#[tokio::test]
async fn a_container_that_cannot_be_read_does_not_hold_up_the_others() {
    let containers = vec![
        Container {
            answer: Answer::Cut,
            ..container(1, "bad", &numbers([1, 3]))
        },
        container(2, "good", &numbers([2, 4])),
        Container {
            answer: Answer::Status(501),
            ..container(3, "none", &[])
        },
    ];
    let engine = Engine::start(containers);
    let hub = hub();
    let followed = Asked {
        wanted: Wanted::everything(),
        once: false,
        ..asked(Some(0), None)
    };
    let mut replay = replay(&hub, &engine, followed);
    let mut told = Vec::new();
    while lines(&told).len() < 4 {
        told.push(next(&mut replay).await.unwrap());
    }
    assert_eq!(lines(&told), ["1", "2", "3", "4"]);
    let missing: Vec<_> = told
        .iter()
        .filter(|text| text.starts_with("! past lines are missing of bad: "))
        .collect();
    assert_eq!(missing.len(), 1, "{told:?}");
    let refused = "! past lines of none cannot be read: it is refused";
    assert_eq!(told.iter().filter(|text| *text == refused).count(), 1);
    hub.system("live");
    assert_eq!(next(&mut replay).await.unwrap(), "live");
}

#[tokio::test]
async fn where_reading_breaks_off_nobody_runs_ahead() {
    let containers = vec![
        Container {
            answer: Answer::CutOnce(1),
            ..container(1, "one", &numbers([1, 3, 5]))
        },
        container(2, "two", &numbers([2, 4])),
    ];
    let told = told(containers, asked(Some(0), None)).await;
    assert_eq!(lines(&told), ["1", "2", "3", "4", "5"]);
    assert!(told.len() > 5, "it broke off");
}

#[tokio::test]
async fn a_container_that_is_removed_while_the_past_is_opened_is_said_to_be_gone() {
    let last = Cursor {
        origin: Origin::Stream {
            container: 1,
            is_std_err: false,
        },
        nanos: T,
        count: 1,
    };
    for status in [404, 409] {
        let removed = Container {
            answer: Answer::Status(status),
            ..container(1, "one", &[])
        };
        let engine = Engine::start(vec![removed]);
        let after = Asked {
            after: vec![last],
            ..asked(Some(T), None)
        };
        let mut replay = replay(&hub(), &engine, after);
        let Some(Delivery::Notice(notice)) = replay.next().await else {
            panic!("no notice");
        };
        assert!(notice.message.contains("000000000001 may be missing"));
        assert_eq!(notice.cursor.as_deref(), Some("000000000001.gone"));
        assert_eq!(next(&mut replay).await, None);
    }
}

#[tokio::test]
async fn what_the_engine_says_in_the_past_is_no_line_and_no_end() {
    let words = "Error grabbing logs: invalid character";
    let spoilt = Container {
        answer: Answer::Words(words),
        ..container(1, "one", &numbers([1, 2]))
    };
    let engine = Engine::start(vec![spoilt]);
    let past = rest(replay(&hub(), &engine, asked(Some(0), None))).await;
    assert_eq!(lines(&past), ["1", "2"]);
    let missing = format!("! past lines are missing of one: {words}");
    assert_eq!(past.last(), Some(&missing));
}

#[tokio::test]
async fn lines_until_a_time_are_told_that_nobody_has_read_by_then() {
    let until = now_nanos() + 200_000_000;
    let late = Container {
        later: vec![message(until, "late"), message(until + 1, "too late")],
        ..container(1, "one", &[message(T, "early")])
    };
    let asked = Asked {
        wanted: Wanted {
            until: Some(until),
            ..Wanted::default()
        },
        ..Asked::default()
    };
    // Nobody reads while they are written: there is no reader.
    assert_eq!(told(vec![late], asked).await, ["early", "late"]);
}

#[tokio::test]
async fn while_the_journal_cannot_be_read_nobody_is_told_to_forget_a_place() {
    let mut engine = Engine::start(vec![]);
    engine.connected.logging_driver = Some("journald".to_owned());
    let hub = hub();
    let named = Cursor {
        origin: Origin::Stream {
            container: 1,
            is_std_err: false,
        },
        nanos: T,
        count: 1,
    };
    let mut attempts = Attempts::default();
    while !attempts.fail(Part::Journal) {}
    let place = Place {
        hub: &hub,
        connected: Some(&engine.connected),
        confinement: None,
        attempts: &attempts,
    };
    let told = Places::new(0, [named]);
    let past = Past::open(place, &asked(None, None), &told, None).await;
    assert!(past.unwrap().remarks.is_empty());
}

#[tokio::test]
async fn who_does_not_read_gives_way_and_goes_on_where_it_was() {
    let engine = Engine::start(vec![container(1, "one", &numbers(1..=1000))]);
    let mut hub = hub();
    hub.turns = Turns::new(1, Duration::from_millis(20));
    let mut slow = replay(&hub, &engine, asked(Some(0), None));
    let first = next(&mut slow).await.unwrap();
    let other = rest(replay(&hub, &engine, asked(Some(0), None))).await;
    assert_eq!(other.len(), 1000);
    let mut all = vec![first];
    all.extend(rest(slow).await);
    assert_eq!(all, other);
}

#[tokio::test]
async fn a_clock_that_was_set_back_is_said() {
    let ahead = now_nanos() + 3_600_000_000_000;
    let after = Asked {
        after: vec![Cursor {
            origin: Origin::Stream {
                container: 1,
                is_std_err: false,
            },
            nanos: ahead,
            count: 1,
        }],
        ..asked(Some(T), None)
    };
    let told = told(vec![container(1, "one", &numbers([1]))], after).await;
    assert_eq!(
        told,
        ["! lines of services may be missing: the device's clock was set back"]
    );
}

#[tokio::test]
async fn a_list_of_containers_that_fails_once_silences_nobody() {
    let engine = Engine::start(vec![container(
        1,
        "one",
        &[message(now_nanos() + 1_000_000_000, "heard")],
    )]);
    engine.refuse_lists(1);
    let hub = hub();
    let mut client = listen(&hub);
    let (happened, _) = broadcast::channel(8);
    let reading = tokio::spawn(run(hub.clone(), None, engine.link(), happened));
    let heard = tokio::time::timeout(Duration::from_mins(1), client.next()).await;
    assert!(matches!(heard.unwrap(), Taken::Line(line) if line.text.message == "heard"));
    reading.abort();
}

#[test]
fn what_is_said_about_lines_reaches_those_who_want_them_in_its_place() {
    let hub = hub();
    let of_web = |services: &[&str]| {
        hub.subscribe(Wanted {
            services: services.iter().map(|name| (*name).to_owned()).collect(),
            ..Wanted::default()
        })
    };
    let (mut web, mut db, mut all) = (of_web(&["web"]), of_web(&["db"]), of_web(&[]));
    hub.publish(of("web", "before"));
    hub.notice("web", "lines may be missing".to_owned());
    hub.publish(of("web", "after"));
    assert!(drain(&mut db).is_empty());
    for client in [&mut web, &mut all] {
        let got = drain(client);
        assert!(matches!(
            &got[..],
            [Taken::Line(before), Taken::Notice(notice), Taken::Line(after)]
                if before.text.message == "before" && after.text.message == "after"
                    && notice.is_notice == Some(true) && notice.message == "lines may be missing"
        ));
    }
}
