//! Disk images: what they are packed in, their partition tables and file systems.

use std::{cell::RefCell, collections::BTreeMap, io, io::Read as _, rc::Rc};

use os_cli::image::{
    Part, ReadAt, WriteAt,
    boot::Boot,
    container::{Format, Spool, Unpacked, repack, unpacker},
    ext4,
    fat::{Change, Stamp, Volume, apply},
    table::Partition,
};

/// Bytes that an image of a target unpacks to at most.
const MOST: u64 = 4 * 1024 * 1024;

/// A disk: what is found lies within it, whatever its tables say.
pub(crate) fn boot(input: &[u8]) {
    match Boot::find(&input) {
        Ok((boot, table)) => {
            let size = input.size();
            for found in table.partitions.iter().chain([&boot.partition]) {
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

/// A packed image. Whatever unpacks is packed again to the same; whatever is cut off is no image.
pub(crate) fn container(input: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("image");
    fs_err::write(&path, input).expect("a file");
    let Ok(unpacked) = Unpacked::open(&path) else {
        return;
    };
    let format = unpacked.format;
    let mut all = Vec::new();
    let read = unpacked.take(MOST).read_to_end(&mut all);
    let source = Unpacked::open(&path).expect("opened once");
    let spool = Spool::bounded(source, folder.path(), MOST).expect("a file");
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
    let again = folder.path().join("again");
    let file = fs_err::File::create(&again).expect("a file");
    // An archive of more than a file may hold something else that is broken.
    if repack(&path, file, &[], &mut |_| Ok(())).is_err() {
        assert_eq!(format, Format::Zip);
        return;
    }
    let mut same = Vec::new();
    let mut unpacked = Unpacked::open(&again).expect("what was packed");
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

struct Memory(RefCell<Vec<u8>>);

impl WriteAt for Memory {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).expect("an offset");
        self.0.borrow_mut()[start..start + bytes.len()].copy_from_slice(bytes);
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

/// A FAT: what can be written to it is read again, twice is once, and files that have clusters of their own stay.
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
    let Ok(steps) = volume.plan(&changes, now) else {
        return;
    };
    let memory = Memory(input.to_vec().into());
    apply(&memory, 0, &steps).expect("within the image");
    let after = memory.0.into_inner();
    let volume = Volume::open(Part::whole(&after)).expect("the same geometry");
    // Where folders or files share clusters, what is written to one is written to another.
    if let Ok(Some(read)) = volume.read("config.json", 100) {
        assert_eq!(read, b"{}");
    }
    assert!(after.len() == input.len());
    drop((before, files(&after)));
}
