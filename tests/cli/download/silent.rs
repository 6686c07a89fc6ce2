//! Servers whose parts do not say of which file they are: parts that end early, and gaps at the beginning.

use testkit::distribution::{Fate, Served};
use testkit::{Distribution, Workstation};

use super::{ended_before_it_was_kept, image_is, noise};

const AT: &str = "127.0.0.1:8080";

#[tokio::test]
async fn a_file_comes_whole_in_many_parts_that_end_early() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(12_000_000, 61);
    let bytes: Vec<u8> = bytes.iter().map(|byte| b'a' + byte % 26).collect();
    let begun = String::from_utf8_lossy(&bytes[..100_000]);
    let begun = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n{begun}");
    for most in [1 << 20, 200_000] {
        let mut file = Served::new(bytes.clone());
        (file.tag, file.most_of_a_part) = (None, Some(most));
        // At its beginning it tells no length, either.
        server.put("os.img", file.fated([Fate::Says(begun.clone())]));
        let url = server.url("os.img");
        let output = workstation.os(&["download", &url, "--force"]).await;
        output.success();
        assert!(!output.stderr.contains("has changed"), "{output}");
        assert!(server.asked("os.img").len() > 12, "{output}");
        image_is(&workstation, &bytes);
        workstation.os(&["cache", "clean"]).await.success();
    }
}

#[tokio::test]
async fn what_is_behind_a_gap_at_the_beginning_is_never_joined_unseen() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let (old, new) = (noise(3_000_000, 62), noise(3_000_000, 63));
    let url = server.url("os.img");
    let mut file = Served::new(old.clone());
    file.ranges = false;
    server.put("os.img", file.fated([Fate::Cut(1_000_000)]));
    workstation.os(&["download", &url]).await.success();
    // As if the first piece had not come, and those behind it had.
    let state = serde_json::json!({ "parts": [[1_000_000, old.len()]] });
    ended_before_it_was_kept(&workstation, &url, &state);
    let mut file = Served::new(new.clone());
    file.tag = None;
    file.ignores_conditions = true;
    server.put("os.img", file);
    let output = workstation.os(&["download", &url, "--force"]).await;
    output.success();
    image_is(&workstation, &new);
}
