//! Servers that cut off, stall, and change.

use std::time::Duration;

use testkit::distribution::{Fate, Framing, Served};
use testkit::{Distribution, Workstation, until};

use super::{
    becomes_another, ended_before_it_was_kept, gzip, image_is, noise, nothing_is_there, sha256,
};

const AT: &str = "127.0.0.1:8080";

#[tokio::test]
async fn it_goes_on_where_it_was_cut_off() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(3_000_000, 1);
    let cuts = [Fate::Cut(1_000_000), Fate::Cut(0), Fate::Cut(500_000)];
    server.put("os.img", Served::new(bytes.clone()).fated(cuts));
    workstation
        .os(&["download", &server.url("os.img")])
        .await
        .success();
    image_is(&workstation, &bytes);
    let expected = [
        None,
        Some("bytes=1000000-"),
        Some("bytes=1000000-"),
        Some("bytes=1500000-"),
    ];
    assert_eq!(
        server.ranges("os.img"),
        expected.map(|range| range.map(str::to_owned))
    );
}

#[tokio::test]
async fn a_command_that_was_interrupted_goes_on_the_next_time() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(3_000_000, 2);
    let stall = [Fate::Stall(2_000_000)];
    server.put("os.img", Served::new(bytes.clone()).fated(stall));
    let url = server.url("os.img");
    let mut running = workstation.start_in_terminal(&["download", &url]);
    until("bytes come", async || {
        running.stdout().contains("fetching").then_some(())
    })
    .await;
    running.press("\x03");
    let ended = running.output().await;
    assert_eq!(ended.code, 130, "{ended}");
    nothing_is_there(&workstation);
    let output = workstation.os(&["download", &url]).await;
    output.success();
    assert!(output.stderr.contains("were there already"), "{output}");
    image_is(&workstation, &bytes);
    let ranges = server.ranges("os.img");
    assert!(ranges[1].is_some(), "{ranges:?}");
}

#[tokio::test]
async fn a_command_that_was_killed_loses_no_more_than_what_came_last() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(150_000_000, 10);
    let mut file = Served::new(bytes.clone()).fated([Fate::Stall(140_000_000)]);
    // One connection, and nothing but the bytes themselves to go by.
    file.tag = None;
    server.put("os.img", file);
    let url = server.url("os.img");
    let os = testkit::programs::built("os");
    let line = format!("{} download {url} & echo $! >pid; wait", os.display());
    let running = workstation.start_program(&["sh", "-c", &line]);
    let images = workstation.home().join(".cache/os/images");
    let is_written_down = async || {
        let mut rooms = fs_err::read_dir(&images).ok()?.filter_map(Result::ok);
        rooms.find(|room| room.path().join("part.json").exists())
    };
    until("a part lasts", is_written_down).await;
    workstation
        .machine
        .run("sh", &["-c", "kill -9 $(cat home/pid)"]);
    drop(running);
    workstation.os(&["download", &url]).await.success();
    image_is(&workstation, &bytes);
    let ranges = server.ranges("os.img");
    // The beginning is asked for once more, to be compared.
    assert_eq!(ranges[1].as_deref(), Some("bytes=0-262143"));
    let from = ranges[2]
        .as_deref()
        .and_then(|range| range.strip_prefix("bytes="));
    let from: u64 = from
        .and_then(|from| from.trim_end_matches('-').parse().ok())
        .expect("a part");
    assert!(from >= 60_000_000, "{ranges:?}");
}

#[tokio::test]
async fn a_server_without_parts_is_read_again_and_compared() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(2_000_000, 3);
    for (framing, tag) in [(Framing::Length, None), (Framing::Chunked, None)] {
        let mut file = Served::new(bytes.clone()).fated([Fate::Cut(900_000)]);
        (file.framing, file.tag, file.ranges) = (framing, tag, false);
        server.put("os.img", file);
        let output = workstation
            .os(&["download", &server.url("os.img"), "--force"])
            .await;
        output.success();
        assert!(!output.stderr.contains("has changed"), "{output}");
        image_is(&workstation, &bytes);
        workstation.os(&["cache", "clean"]).await.success();
    }
}

#[tokio::test]
async fn parts_of_two_files_are_never_one() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let (old, new) = (noise(2_000_000, 4), noise(2_000_000, 5));
    let second = || Some("\"second\"".to_owned());
    for (tag, ranges, next) in [
        (Some("\"first\"".to_owned()), true, second()),
        // It heeds no condition, and shows that the file is another one, or not even that.
        (None, true, None),
        (None, false, None),
    ] {
        let mut file = Served::new(old.clone());
        (file.tag, file.ranges) = (tag, ranges);
        becomes_another(&workstation, &server, (file, 900_000), (&new, next)).await;
    }
}

#[tokio::test]
async fn a_file_that_changes_again_and_again_is_given_up() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let fates = (0..20).map(|round| match round % 2 {
        0 => Fate::Cut(900_000),
        _ => Fate::Becomes(noise(2_000_000, round).into(), Some(format!("\"{round}\""))),
    });
    server.put("os.img", Served::new(noise(2_000_000, 99)).fated(fates));
    let output = workstation.os(&["download", &server.url("os.img")]).await;
    assert_eq!(output.code, 1, "{output}");
    assert!(
        output.stderr.contains("changes while it is fetched"),
        "{output}"
    );
    nothing_is_there(&workstation);
}

#[tokio::test]
async fn a_long_file_comes_over_several_connections() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(81_000_001, 6);
    let fates = [Fate::Cut(20_000_000), Fate::Cut(1_000_000)];
    server.put("os.img", Served::new(bytes.clone()).fated(fates));
    workstation
        .os(&["download", &server.url("os.img")])
        .await
        .success();
    image_is(&workstation, &bytes);
    let ranges = server.ranges("os.img");
    for piece in ["bytes=16777216-33554431", "bytes=33554432-50331647"] {
        assert!(
            ranges.iter().flatten().any(|asked| asked == piece),
            "{ranges:?}"
        );
    }
    // The one that was cut off goes on where that was.
    assert!(ranges.len() >= 6, "{ranges:?}");
}

#[tokio::test]
async fn a_server_that_has_enough_connections_is_content_with_fewer() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(70_000_000, 7);
    let busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    let fates = std::iter::once(Fate::Cut(bytes.len()));
    let fates = fates.chain((0..3).map(|_| Fate::Says(busy.to_owned())));
    server.put("os.img", Served::new(bytes.clone()).fated(fates));
    workstation
        .os(&["download", &server.url("os.img")])
        .await
        .success();
    image_is(&workstation, &bytes);
}

#[tokio::test]
async fn a_server_that_stalls_is_asked_anew_and_one_that_asks_for_patience_gets_it() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(1_000_000, 8);
    let later = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
    let fates = [Fate::Says(later.to_owned()), Fate::Stall(300_000)];
    server.put("os.img", Served::new(bytes.clone()).fated(fates));
    let url = server.url("os.img");
    let output = workstation.os(&["download", &url, "--patience", "1"]).await;
    output.success();
    assert!(output.stderr.contains("asks for patience"), "{output}");
    assert!(output.stderr.contains("says nothing any more"), "{output}");
    image_is(&workstation, &bytes);
    assert_eq!(server.asked("os.img").len(), 3);
}

#[tokio::test]
async fn a_server_that_trickles_is_asked_anew_and_no_list_is_waited_for_that_does() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(1_000_000, 13);
    let each = Duration::from_millis(50);
    let trickles = [Fate::Trickle(300_000, each)];
    server.put("os.img", Served::new(bytes.clone()).fated(trickles));
    let sum = sha256(&workstation, &bytes);
    let list = Served::new(format!("{sum}  os.img\n"));
    server.put("SHA256SUMS", list.fated([Fate::Trickle(3, each)]));
    let url = server.url("os.img");
    let output = workstation.os(&["download", &url, "--patience", "1"]).await;
    output.success();
    assert!(output.stderr.contains("gives next to nothing"), "{output}");
    image_is(&workstation, &bytes);
    let ranges = server.ranges("os.img");
    let from = ranges[1].as_deref().expect("a part");
    assert!(from.starts_with("bytes=3000"), "{ranges:?}");
    assert_eq!((ranges.len(), server.asked("SHA256SUMS").len()), (2, 2));
}

#[tokio::test]
async fn what_is_packed_for_the_way_from_now_on_is_fetched_from_its_beginning() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(300_000, 14);
    let mut file = Served::new(gzip(&workstation, &bytes));
    let packed = ("Content-Encoding".to_owned(), "gzip".to_owned());
    file.fields.push(packed);
    // It knows the file by the same tag, whichever way it gives it.
    let head = "HTTP/1.1 200 OK\r\nETag: \"first\"\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bare = format!("{head}186a0\r\n{}", "a".repeat(100_000));
    server.put("os.img", file.fated([Fate::Says(bare)]));
    let output = workstation.os(&["download", &server.url("os.img")]).await;
    output.success();
    assert!(output.stderr.contains("has changed"), "{output}");
    image_is(&workstation, &bytes);
    let ranges = server.ranges("os.img");
    assert_eq!(ranges, [None, Some("bytes=100000-".to_owned()), None]);
}

#[tokio::test]
async fn a_server_that_lies_about_the_length_is_found_out() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let lies = (0..20).map(|_| Fate::Lie(1000));
    server.put("os.img", Served::new(noise(100_000, 9)).fated(lies));
    let output = workstation.os(&["download", &server.url("os.img")]).await;
    assert_eq!(output.code, 1, "{output}");
    assert!(
        output.stderr.contains("fewer bytes than it says"),
        "{output}"
    );
    nothing_is_there(&workstation);
    // Twice is enough.
    let ranges = server.ranges("os.img");
    let whole = ranges.iter().filter(|range| range.is_none()).count();
    assert_eq!(whole, 2, "{ranges:?}");
}

#[tokio::test]
async fn one_trouble_of_all_connections_is_one() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(81_000_001, 12);
    let fates = (0..4).map(|_| Fate::Cut(1_000_000));
    let fates = fates.chain((0..16).map(|_| Fate::Cut(0)));
    server.put("os.img", Served::new(bytes.clone()).fated(fates));
    workstation
        .os(&["download", &server.url("os.img")])
        .await
        .success();
    image_is(&workstation, &bytes);
}

#[tokio::test]
async fn what_was_there_before_all_of_it_was_checked_is_asked_for() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let (bytes, later) = (noise(300_000, 21), noise(300_000, 22));
    let url = server.url("os.img");
    let tagged = |bytes: &[u8], tag: &str| {
        let mut offer = Served::new(bytes.to_vec());
        offer.tag = Some(tag.to_owned());
        offer
    };
    for (served, count) in [(&bytes, 1), (&later, 2)] {
        server.put("os.img", tagged(&bytes, "\"1\""));
        workstation
            .os(&["download", &url, "--force"])
            .await
            .success();
        // As if it had been ended when everything had come.
        ended_before_it_was_kept(&workstation, &url, &serde_json::json!({}));
        if count == 2 {
            server.put("os.img", tagged(served, "\"2\""));
        }
        server.forget();
        workstation
            .os(&["download", &url, "--force"])
            .await
            .success();
        image_is(&workstation, served);
        assert_eq!(server.asked("os.img").len(), count);
    }
}
