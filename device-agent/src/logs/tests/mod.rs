//! The hub, its queues, and what containers write and wrote, from an engine that is played.

mod decoding;
mod engine;
mod following;
mod replaying;

use agent_api::cursor::Origin;
use proptest::prelude::*;

use super::growing::MAX_LINE;
use super::places::Places;
use super::queue::{MAX_BYTES, MAX_LINES};
use super::*;

fn of(service: &str, message: &str) -> Line {
    let text = LogLine {
        service_name: Some(service.to_owned()),
        ..LogLine::system(message, 1)
    };
    let origin = Origin::Stream {
        container: 1,
        is_std_err: false,
    };
    let place = Cursor {
        origin,
        nanos: 1,
        count: 1,
    };
    Line::new(text, place)
}

fn line(message: &str) -> Line {
    of("web", message)
}

fn hub() -> Hub {
    Hub::new(None)
}

fn listen(hub: &Hub) -> Subscription {
    hub.subscribe(Wanted::everything())
}

fn drain(client: &mut Subscription) -> Vec<Taken> {
    std::iter::from_fn(|| client.try_next()).collect()
}

#[test]
fn a_stalled_client_loses_its_own_lines_and_is_told_how_many() {
    let hub = hub();
    let mut stalled = listen(&hub);
    let mut quick = listen(&hub);
    for number in 0..MAX_LINES + 5 {
        hub.publish(line(&number.to_string()));
        assert_eq!(drain(&mut quick).len(), 1);
    }
    let got = drain(&mut stalled);
    assert_eq!(got.len(), MAX_LINES + 1);
    assert!(
        matches!(&got[0], Taken::Dropped(dropped) if dropped.lines == 5 && dropped.service == "web")
    );
    assert!(matches!(&got[1], Taken::Line(line) if line.text.message == "5"));
    // What comes next is in its place again.
    hub.publish(line("after"));
    assert!(
        matches!(&drain(&mut stalled)[..], [Taken::Line(line)] if line.text.message == "after")
    );
}

#[test]
fn long_lines_are_bounded_by_their_bytes() {
    let hub = hub();
    let mut stalled = listen(&hub);
    let long = "x".repeat(MAX_LINE);
    for _ in 0..100 {
        hub.publish(line(&long));
    }
    let got = drain(&mut stalled);
    assert_eq!(got.len(), MAX_BYTES / MAX_LINE + 1);
}

#[test]
fn a_flood_of_one_service_costs_the_others_no_line_and_their_order_stays() {
    let hub = hub();
    let mut stalled = listen(&hub);
    for number in 0..10 * MAX_LINES {
        hub.publish(of("web", &number.to_string()));
        if number % 100 == 0 {
            hub.publish(of("db", &number.to_string()));
        }
    }
    let got = drain(&mut stalled);
    let (mut db, mut web, mut dropped) = (Vec::new(), 0, 0);
    let mut latest = 0;
    for taken in &got {
        match taken {
            Taken::Line(line) => {
                let number: usize = line.text.message.parse().unwrap();
                assert!(number >= latest, "out of order");
                latest = number;
                if line.text.service_name.as_deref() == Some("db") {
                    db.push(number);
                } else {
                    web += 1;
                }
            }
            Taken::Notice(notice) => panic!("nobody said {notice:?}"),
            Taken::Dropped(lost) => {
                assert_eq!(lost.service, "web");
                dropped += lost.lines;
            }
        }
    }
    assert_eq!(db, (0..10 * MAX_LINES).step_by(100).collect::<Vec<_>>());
    assert_eq!(u64::try_from(10 * MAX_LINES).unwrap(), web + dropped);
}

#[test]
fn lines_that_a_client_does_not_want_take_no_room() {
    let hub = hub();
    let mut client = hub.subscribe(Wanted {
        services: vec!["db".to_owned()],
        ..Wanted::default()
    });
    hub.publish(of("db", "wanted"));
    for _ in 0..2 * MAX_LINES {
        hub.publish(of("web", "not wanted"));
    }
    hub.system("not wanted");
    assert!(
        matches!(&drain(&mut client)[..], [Taken::Line(line)] if line.text.message == "wanted")
    );
}

/// What may happen to a queue.
#[derive(Debug, Clone)]
enum Step {
    Push { service: usize, bytes: usize },
    Take,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let push = (
        0..4_usize,
        prop_oneof![Just(1_usize), 1..2000_usize, Just(60_000)],
    )
        .prop_map(|(service, bytes)| Step::Push { service, bytes });
    proptest::collection::vec(prop_oneof![9 => push, 1 => Just(Step::Take)], 0..4000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever comes and however it is taken: the bounds hold, each service's lines stay in order, and every line was
    /// either delivered or counted.
    #[test]
    fn every_line_is_delivered_or_counted_within_the_bounds(steps in steps()) {
        const SERVICES: [&str; 4] = ["a", "b", "c", "d"];
        let hub = hub();
        let mut client = listen(&hub);
        let mut pushed = [0_u64; 4];
        let mut seen = [0_u64; 4];
        let check = |taken: Taken, seen: &mut [u64; 4]| {
            let service = match &taken {
                Taken::Line(line) => line.text.service_name.clone().unwrap_or_default(),
                Taken::Notice(notice) => panic!("nobody said {notice:?}"),
                Taken::Dropped(dropped) => dropped.service.clone(),
            };
            let place = &mut seen[SERVICES.iter().position(|name| *name == service).unwrap()];
            match taken {
                Taken::Line(line) => {
                    let number: u64 = line.text.message.trim_end().parse().unwrap();
                    assert_eq!(number, *place, "lines of {service} are lost or out of order");
                    *place += 1;
                }
                Taken::Notice(_) => {}
                Taken::Dropped(dropped) => {
                    assert!(dropped.lines > 0);
                    *place += dropped.lines;
                }
            }
        };
        for step in steps {
            match step {
                Step::Push { service, bytes } => {
                    let message = format!("{:<bytes$}", pushed[service]);
                    pushed[service] += 1;
                    hub.publish(of(SERVICES[service], &message));
                    let (lines, waiting) = client.queue.size();
                    prop_assert!(lines <= MAX_LINES && waiting <= MAX_BYTES.max(message.len()));
                }
                Step::Take => {
                    if let Some(taken) = client.try_next() {
                        check(taken, &mut seen);
                    }
                }
            }
        }
        for taken in drain(&mut client) {
            check(taken, &mut seen);
        }
        prop_assert_eq!(seen, pushed);
        prop_assert_eq!(client.queue.size(), (0, 0));
    }

    /// A service that has fewer lines waiting than its share loses none, however much the others write.
    #[test]
    fn a_service_below_its_share_loses_nothing(flood in proptest::collection::vec(0..3_usize, 3000..6000), quiet in 1..MAX_LINES / 4) {
        let hub = hub();
        let mut client = listen(&hub);
        let every = flood.len() / quiet;
        let mut written = 0;
        for (number, service) in flood.iter().enumerate() {
            hub.publish(of(["a", "b", "c"][*service], "x"));
            if number % every.max(1) == 0 && written < quiet {
                hub.publish(of("quiet", &written.to_string()));
                written += 1;
            }
        }
        let told = drain(&mut client)
            .into_iter()
            .filter(|taken| matches!(taken, Taken::Line(line) if line.text.service_name.as_deref() == Some("quiet")))
            .count();
        prop_assert_eq!(told, written);
    }
}

#[tokio::test]
async fn who_reads_is_waited_for_and_who_does_not_only_once() {
    let hub = hub();
    let mut reading = listen(&hub);
    let stalled = listen(&hub);
    let flood = || {
        for _ in 0..MAX_LINES {
            hub.publish(line("x"));
        }
    };
    flood();
    let taking = async {
        while reading.try_next().is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(hub.make_way("web"), taking);
    assert!(!stalled.queue.is_behind("web"), "it is given up");
    flood();
    assert!(reading.queue.is_behind("web"), "it is worth waiting for");
    assert!(!reading.has_dropped() && stalled.has_dropped());
}

#[test]
fn clients_that_leave_are_forgotten() {
    let hub = hub();
    let client = listen(&hub);
    let listening = hub.listening();
    assert_eq!(listening.borrow().clients, 1);
    assert!(listening.borrow().since > 0);
    drop(client);
    assert_eq!(listening.borrow().clients, 0);
    hub.publish(line("nobody listens"));
    assert!(hub.lock().clients.is_empty());
    for _ in 0..10 {
        drop(listen(&hub));
    }
    assert!(
        hub.lock().clients.len() <= 1,
        "also while there are no lines"
    );
}

#[test]
fn the_agents_own_lines_are_kept_up_to_a_bound() {
    let hub = hub();
    for number in 0..=kept::MAX_LINES {
        hub.system(number.to_string());
    }
    let (lines, _) = hub.lock().kept.after(&Places::new(0, []));
    assert_eq!(lines.len(), kept::MAX_LINES);
    assert_eq!(lines[0].text.message, "1");
}

#[tokio::test]
async fn nobody_waits_for_a_container_that_nobody_reads() {
    let hub = hub();
    hub.drained("id").await;
    // A reader that is gone keeps nobody waiting either.
    let _client = listen(&hub);
    drop(hub.lock().drains.take());
    hub.drained("id").await;
}
