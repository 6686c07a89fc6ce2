//! Disk images: what they are packed in, their partition tables and file systems.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io,
    io::Read as _,
    rc::Rc,
};

use os_cli::flash::bmap::Bmap;
use os_cli::image::{
    Part, ReadAt, WriteAt,
    boot::Boot,
    container::{Format, Packed, Spool, Unpacked, repack, unpacker},
    content::Content,
    ext4,
    fat::{Change, Stamp, Step, Volume, apply},
    table::{self, Depth, Partition},
};
use os_cli::provision::{
    config::{Document, names},
    network::Connection,
};

/// Sectors after which an edit is cut off.
const MOST_CUTS: usize = 40;
/// Bytes that an image of a target unpacks to at most.
const MOST: u64 = 4 * 1024 * 1024;

/// A block map: what it says is in order, apart and within the image, and what is wrong is told in few words.
pub(crate) fn bmap(input: &[u8]) {
    match Bmap::read(input) {
        Ok(bmap) => {
            let mut at = 0;
            for mapping in &bmap.ranges {
                assert!(at <= mapping.range.start && mapping.range.start < mapping.range.end);
                at = mapping.range.end;
                let length = mapping.sum.as_ref().map(Vec::len);
                assert!(matches!(length, None | Some(20 | 32 | 48 | 64)));
            }
            assert!(at <= bmap.size);
        }
        Err(error) => assert!((1..400).contains(&error.to_string().len()), "{error}"),
    }
}

/// A disk: what is found lies within it, whatever its tables say.
pub(crate) fn boot(input: &[u8]) {
    match Boot::find(&input) {
        Ok(boot) => {
            let size = input.size();
            let table = table::read(&input, Depth::All);
            let partitions = table.map(|table| table.partitions).unwrap_or_default();
            for found in partitions.iter().chain([&boot.partition]) {
                let end = found.start.checked_add(found.size);
                assert!(end.is_some_and(|end| end <= size), "{found:?} of {size}");
            }
            if let Ok(volume) = boot.volume(&input) {
                drop((volume.label(), volume.list(""), volume.room()));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A packed image. Whatever unpacks is packed again to the same, and is as long as it was said to be; whatever is cut off is no image.
pub(crate) fn container(input: &[u8]) {
    if let Content::Foreign(what) = Content::of(input, None) {
        assert!(what.to_string().len() < 100);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("image");
    fs_err::write(&path, input).expect("a file");
    let packed = Packed::open(&path).expect("a file");
    let length = packed.length();
    let Ok(unpacked) = Unpacked::new(&packed) else {
        return;
    };
    let format = unpacked.format;
    let mut all = Vec::new();
    let read = unpacked.take(MOST).read_to_end(&mut all);
    let source = Unpacked::new(&packed).expect("opened once");
    let spool = Spool::bounded(source, folder.path(), MOST, Box::new(|| Ok(()))).expect("a file");
    let middle = all.len() / 2;
    if let (Some(byte), Ok(at)) = (all.get(middle), u64::try_from(middle)) {
        // What is kept is bounded, and what comes behind may be broken: then nothing is read, but nothing else.
        if let Ok(found) = spool.bytes(at, 1) {
            assert_eq!(found, [*byte]);
        }
    }
    if read.is_err() || u64::try_from(all.len()).is_ok_and(|size| size >= MOST) {
        return;
    }
    let length = length.expect("it was unpacked to its end");
    assert!(all.len().try_into().is_ok_and(|size| length.may_be(size)));
    let again = folder.path().join("again");
    let file = fs_err::File::create(&again).expect("a file");
    // An archive of more than a file may hold something else that is broken.
    if repack(&packed, file, &[], &mut |_| Ok(())).is_err() {
        assert_eq!(format, Format::Zip);
        return;
    }
    let mut same = Vec::new();
    let mut unpacked =
        Unpacked::new(&Packed::open(&again).expect("a file")).expect("what was packed");
    unpacked.read_to_end(&mut same).expect("what was packed");
    assert!(same == all, "it is another image");
    let stream = io::Cursor::new(input.to_vec());
    if format != Format::Zip {
        let mut streamed = Vec::new();
        let mut reader = unpacker(format, stream).expect("memory");
        reader.read_to_end(&mut streamed).expect("read before");
        assert!(streamed == all, "a stream is another image");
    }
}

/// An ext4 file system.
pub(crate) fn ext4(input: &[u8]) {
    let partition = Partition {
        number: 1,
        start: 0,
        size: input.size(),
        name: None,
    };
    let medium: Rc<dyn ReadAt> = Rc::new(input.to_vec());
    if let Ok(Some(content)) = ext4::read(&medium, &partition, "/etc/os-release", 4096) {
        assert!(content.len() <= 4096);
    }
}

/// A config.json, then a key, then a value: what is taken is there and is read again, what is refused changes nothing, and nothing of
/// the file is in an error.
pub(crate) fn config(input: &[u8]) {
    let mut parts = input.splitn(3, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let (file, key, value) = (part(), part(), part());
    let mut document = match Document::read(file) {
        Ok(document) => document,
        Err(error) => {
            assert!(error.to_string().len() < 100, "{error}");
            return;
        }
    };
    assert_eq!(document.bytes(), file);
    let known = names().filter(|name| document.get(name).is_some()).count();
    assert!(
        known <= document.keys().len()
            || document.get("os").is_some()
            || document.get("installer").is_some()
    );
    drop((document.wrong(), document.without_secrets()));
    let (key, value) = (String::from_utf8_lossy(key), String::from_utf8_lossy(value));
    for any in [false, true] {
        let before = document.keys().clone();
        if document.write(&key, &value, any).is_ok() {
            assert!(document.get(&key).is_some(), "{key:?} is not there");
            let again = Document::read(&document.bytes()).expect("what was written");
            assert_eq!(again.keys(), document.keys());
            document
                .write(&key, &value, any)
                .expect("the same once more");
            assert_eq!(document.bytes(), again.bytes());
        } else {
            // Objects on the way to a key that cannot be there may have come.
            assert!(before.keys().all(|name| document.keys().contains_key(name)));
        }
    }
    document.remove(&key);
    assert_eq!(document.get(&key), None);
}

/// A person's own connection: taken as it is, or refused in few words.
pub(crate) fn connection(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let name = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let content = parts.next().unwrap_or_default();
    match Connection::own(&name, content) {
        Ok(own) => {
            assert!(content.ends_with(&own.bytes) && !own.bytes.contains(&0));
            assert_eq!(own.path, format!("system-connections/{name}"));
            assert!(!name.contains(['/', '\\']) && !name.starts_with('.'));
        }
        Err(error) => assert!(error.to_string().len() < 400 + 4 * name.len(), "{error}"),
    }
}

/// A medium, and how many sectors it still takes.
struct Memory {
    bytes: RefCell<Vec<u8>>,
    left: Cell<usize>,
}

impl Memory {
    /// Bytes after so many sectors of the steps were written.
    fn after(input: &[u8], steps: &[Step], sectors: usize) -> Vec<u8> {
        let memory = Self {
            bytes: input.to_vec().into(),
            left: sectors.into(),
        };
        let is_done = apply(&memory, 0, steps).is_ok();
        assert_eq!(is_done, sectors == usize::MAX);
        memory.bytes.into_inner()
    }
}

impl WriteAt for Memory {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut start = usize::try_from(offset).expect("an offset");
        for sector in bytes.chunks(512) {
            let left = self.left.get().checked_sub(1);
            self.left.set(left.ok_or(io::ErrorKind::TimedOut)?);
            self.bytes.borrow_mut()[start..start + sector.len()].copy_from_slice(sector);
            start += sector.len();
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Files of the first folders, as far as they can be read.
fn files(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let Ok(volume) = Volume::open(Part::whole(&bytes)) else {
        return found;
    };
    let mut folders = vec![(String::new(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in volume.list(&folder).unwrap_or_default() {
            let path = format!("{folder}{}", entry.name);
            if entry.is_folder && depth < 2 && folders.len() < 8 {
                folders.push((format!("{path}/"), depth + 1));
            } else if !entry.is_folder
                && found.len() < 64
                && let Ok(Some(content)) = volume.read(&path, 64 * 1024)
            {
                found.insert(path, content);
            }
        }
    }
    found
}

/// A FAT: what can be written to it is read again, twice is once, and all other files stay.
pub(crate) fn fat(input: &[u8]) {
    let Ok(volume) = Volume::open(Part::whole(&input)) else {
        return;
    };
    drop((volume.label(), volume.room()));
    let before = files(input);
    let content = vec![0x5A; 1000];
    let changes = [
        Change::Put("config.json", b"{}"),
        Change::Put("system-connections/a new one", &content),
        Change::Remove("gone"),
    ];
    let now = Stamp::new("2026-11-27T10:20:30".parse().expect("a time"));
    let Ok(plan) = volume.plan(&changes, now) else {
        return;
    };
    let own = ["config.json", "system-connections/a new one", "gone"];
    let is_own = |path: &str| own.contains(&path.to_lowercase().as_str());
    // Wherever it is cut off, nothing comes or goes but what is to be changed.
    let patches = plan.steps.iter().flatten();
    let sectors: usize = patches.map(|patch| patch.bytes.len().div_ceil(512)).sum();
    let others = |mut files: BTreeMap<String, Vec<u8>>| {
        files.retain(|path, _| !is_own(path));
        files
    };
    let expected = others(before.clone());
    for count in (0..sectors).take(MOST_CUTS) {
        let cut = Memory::after(input, &plan.steps, count);
        assert_eq!(others(files(&cut)), expected, "after {count} of {sectors}");
    }
    let after = Memory::after(input, &plan.steps, usize::MAX);
    let volume = Volume::open(Part::whole(&after)).expect("the same geometry");
    let read = |path: &str| volume.read(path, 64 * 1024);
    assert_eq!(read("config.json").expect("a file"), Some(b"{}".to_vec()));
    for (path, content) in before {
        if !is_own(&path) {
            assert_eq!(read(&path).expect("a file"), Some(content), "{path:?}");
        }
    }
    let again = volume.plan(&changes, now).expect("it was changed already");
    assert!(again.steps.is_empty(), "it is changed again");
}
