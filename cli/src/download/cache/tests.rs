//! Of real files.

use super::*;

fn kept(cache: &Cache, source: &str, size: usize, used: u64) -> String {
    let room = cache.take(source, "os.img").unwrap().unwrap();
    room.make().unwrap();
    fs_err::write(room.part(), vec![1; size]).unwrap();
    let sums = sums_of(File::open(room.part()).unwrap(), Sums::new(&[])).unwrap();
    let mut about = About::new(source, "os.img", &sums);
    about.bytes = u64::try_from(size).unwrap();
    room.keep(&about).unwrap();
    for file in ["about.json", "image"] {
        let file = File::options().append(true).open(room.folder.join(file));
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(used);
        file.unwrap().set_modified(time).unwrap();
    }
    assert_eq!(room.about(source).unwrap(), about);
    assert_eq!(room.about("another"), None);
    room.name.clone()
}

#[test]
fn what_was_used_longest_ago_goes_first_and_what_is_used_stays() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path().join("images"), 130_000);
    assert!(cache.entries().unwrap().is_empty());
    let old = kept(&cache, "old", 50_000, 1000);
    let used = kept(&cache, "used", 50_000, 900);
    let new = kept(&cache, "new", 50_000, 2000);
    let using = cache.take("used", "os.img").unwrap().unwrap();
    assert!(cache.take("used", "os.img").unwrap().is_none());
    assert!(!cache.remove(&used).unwrap());
    let names = || -> Vec<String> {
        let entries = cache.entries().unwrap().into_iter();
        entries.map(|entry| entry.name).collect()
    };
    assert_eq!(names(), [new.clone(), old.clone(), used.clone()]);
    let removed = cache.shrink().unwrap();
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0].name, old);
    assert_eq!(names(), [new.clone(), used.clone()]);
    drop(using);
    let waiting = std::thread::scope(|scope| {
        let room = cache.take("used", "os.img").unwrap().unwrap();
        let waiting = scope.spawn(|| cache.wait("used", "os.img").unwrap().is_some());
        fs_err::remove_file(cache.folder.join(format!("{used}.lock"))).unwrap();
        drop(room);
        waiting.join().unwrap()
    });
    // It was told to take it anew, or came after it was removed.
    assert!(!waiting || cache.take("used", "os.img").unwrap().is_some());
    assert!(cache.remove(&used).unwrap());
    assert_eq!(names(), [new]);
}

#[test]
fn a_file_of_another_length_than_was_written_down_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path().to_owned(), 0);
    kept(&cache, "x", 100, 0);
    let room = cache.take("x", "os.img").unwrap().unwrap();
    fs_err::write(room.image(), [1; 99]).unwrap();
    assert_eq!(room.about("x"), None);
    for text in ["", "{}", r#"{"version":1,"sha256":"zz"}"#] {
        assert_eq!(About::parse(text.as_bytes()), None);
    }
}

#[test]
fn a_name_is_that_of_one_file() {
    assert_ne!(key("a", "x"), key("b", "x"));
    for name in ["../../etc/passwd", "..", "a/b", "\u{e4}\n", ""] {
        let key = key("a", name);
        assert!(!key.contains('/') && !key.starts_with('.'), "{key}");
    }
}
