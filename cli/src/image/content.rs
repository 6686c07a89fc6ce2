//! Whether some bytes begin a disk image, or plainly something else. Pure.
//!
//! In: the first bytes of what is unpacked, up to a MiB. Out: [`Content`]. Sources: the formats' own descriptions, and what `file` tells them by.

use std::{fmt, io};

use super::{
    ReadAt,
    container::Format,
    field::u32_at,
    table::{self, Depth, TableError},
};

/// Bytes of an image whose size is not known, as far as its table is concerned.
const ENDLESS: u64 = u64::MAX / 2;
/// Bytes by which a text is told.
const TEXT: usize = 4096;

/// What some bytes begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A partition table, or a file system or a volume as it is written to whole drives.
    Disk,
    /// What nobody boots from.
    Foreign(Foreign),
    /// Nothing that is known.
    Unknown,
}

/// What is no disk image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// It is packed, once more.
    Packed(Format),
    /// It is packed in a way that is not unpacked here.
    OtherPacking(&'static str, &'static str),
    /// Several files in one.
    Archive(&'static str, &'static str),
    /// A disk as a virtual machine has it, by its name for `qemu-img`.
    Virtual(&'static str),
    /// A disk as Android's tools write it.
    Sparse,
    /// A page of the web.
    Page,
    /// Any other text.
    Text,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packed(Format::Raw) => f.write_str("nothing"),
            Self::Packed(Format::Gzip) => f.write_str("something that is packed by gzip"),
            Self::Packed(Format::Xz) => f.write_str("something that is packed by xz"),
            Self::Packed(Format::Zstd) => f.write_str("something that is packed by zstd"),
            Self::Packed(Format::Bzip2) => f.write_str("something that is packed by bzip2"),
            Self::Packed(Format::Zip) => f.write_str("a ZIP archive"),
            Self::OtherPacking(name, _) => write!(f, "something that is packed by {name}"),
            Self::Archive(name, _) => write!(f, "a {name} archive"),
            Self::Virtual(name) => write!(f, "a virtual machine's disk ({name})"),
            Self::Sparse => f.write_str("a sparse image as Android has them"),
            Self::Page => f.write_str("a page of the web (HTML)"),
            Self::Text => f.write_str("a text"),
        }
    }
}

impl Content {
    /// What these bytes begin, of something so long, where that is known.
    #[must_use]
    pub fn of(first: &[u8], size: Option<u64>) -> Self {
        let start = Start::new(first, size);
        if !matches!(table::read(&start, Depth::First), Err(TableError::Unknown))
            || is_file_system(first)
        {
            return Self::Disk;
        }
        foreign(first).map_or(Self::Unknown, Self::Foreign)
    }
}

fn has(bytes: &[u8], offset: usize, magic: &[u8]) -> bool {
    bytes
        .get(offset..)
        .is_some_and(|rest| rest.starts_with(magic))
}

/// Whether it begins with what people write to whole drives without a table, and that the reader of tables does not know: where each is told from
/// all else, and by which bytes.
fn is_file_system(first: &[u8]) -> bool {
    const KNOWN: &[(usize, &[u8])] = &[
        // ext2 and its successors.
        (1080, &[0x53, 0xEF]),
        // squashfs, in either order of bytes.
        (0, b"hsqs"),
        (0, b"sqsh"),
        // ISO 9660.
        (32769, b"CD001"),
        // UDF, behind which what it is stands in the same place.
        (32769, b"BEA01"),
        // btrfs.
        (0x1_0040, b"_BHRfS_M"),
        // bcachefs, and bcache before it.
        (4096 + 24, b"\xC6\x85\x73\xF6"),
        // f2fs.
        (1024, b"\x10\x20\xF5\xF2"),
        // EROFS.
        (1024, b"\xE2\xE1\xF5\xE0"),
        // XFS.
        (0, b"XFSB\0"),
        // JFS.
        (32768, b"JFS1"),
        // NTFS.
        (3, b"NTFS    "),
        // exFAT.
        (3, b"EXFAT   "),
        // HFS+, and the one that tells letters by their case.
        (1024, b"H+\0\x04"),
        (1024, b"HX\0\x05"),
        // cramfs.
        (0, b"\x45\x3D\xCD\x28"),
        // romfs.
        (0, b"-rom1fs-"),
        // LUKS, either version.
        (0, b"LUKS\xBA\xBE\0"),
    ];
    // LVM's physical volume, in any of four sectors.
    let is_volume =
        |start: usize| has(first, start, b"LABELONE") && has(first, start + 24, b"LVM2 001");
    let mut known = KNOWN.iter();
    known.any(|(offset, magic)| has(first, *offset, magic))
        || [0, 512, 1024, 1536].into_iter().any(is_volume)
}

fn foreign(first: &[u8]) -> Option<Foreign> {
    const KNOWN: [(usize, &[u8], Foreign); 14] = [
        (
            0,
            b"\x04\x22\x4D\x18",
            Foreign::OtherPacking("lz4", "lz4 -dc"),
        ),
        (
            0,
            b"\x02\x21\x4C\x18",
            Foreign::OtherPacking("lz4", "lz4 -dc"),
        ),
        (0, b"LZIP", Foreign::OtherPacking("lzip", "lzip -dc")),
        (
            0,
            b"\x1F\x9D",
            Foreign::OtherPacking("compress", "gzip -dc"),
        ),
        (0, b"7z\xBC\xAF\x27\x1C", Foreign::Archive("7z", "7z x")),
        (0, b"Rar!\x1A\x07", Foreign::Archive("RAR", "unrar x")),
        (257, b"ustar", Foreign::Archive("tar", "tar -xf")),
        (0, b"QFI\xFB", Foreign::Virtual("qcow2")),
        (0, b"KDMV", Foreign::Virtual("vmdk")),
        (0, b"# Disk DescriptorFile", Foreign::Virtual("vmdk")),
        (0, b"vhdxfile", Foreign::Virtual("vhdx")),
        (0, b"conectix", Foreign::Virtual("vpc")),
        (64, b"\x7F\x10\xDA\xBE", Foreign::Virtual("vdi")),
        (0, b"\x3A\xFF\x26\xED", Foreign::Sparse),
    ];
    let mut known = KNOWN.iter();
    if let Some((.., foreign)) = known.find(|(offset, magic, _)| has(first, *offset, magic)) {
        return Some(*foreign);
    }
    match Format::of(first) {
        Format::Raw => {}
        format => return Some(Foreign::Packed(format)),
    }
    if is_lzma(first) {
        return Some(Foreign::OtherPacking("lzma", "xz -dc"));
    }
    text(first)
}

/// What xz calls `.lzma` has no magic number: five numbers, none of which is odd.
fn is_lzma(first: &[u8]) -> bool {
    let dictionary = u32_at(first, 1).unwrap_or_default();
    let size = first.get(5..13);
    let is_size = |size: &[u8]| size == [0xFF; 8] || size.ends_with(&[0, 0]) && size != [0; 8];
    first.first() == Some(&0x5D)
        && dictionary >= 4096
        && dictionary.is_power_of_two()
        && size.is_some_and(is_size)
}

/// Whether there is nothing but words.
fn text(first: &[u8]) -> Option<Foreign> {
    let start = first.get(..TEXT.min(first.len())).unwrap_or_default();
    let words = match std::str::from_utf8(start) {
        Ok(words) => words,
        // The last letter may go on behind it.
        Err(error) if error.error_len().is_none() => {
            let known = start.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(known).unwrap_or_default()
        }
        Err(_) => return None,
    };
    let is_letter = |letter: char| !letter.is_control() || "\t\r\n\u{c}".contains(letter);
    if words.is_empty() || !words.chars().all(is_letter) {
        return None;
    }
    let begin = words.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let begin: String = begin.chars().take(14).collect();
    let begin = begin.to_ascii_lowercase();
    let is_page = ["<!doctype html", "<html", "<head", "<?xml"]
        .iter()
        .any(|tag| begin.starts_with(tag));
    Some(if is_page {
        Foreign::Page
    } else {
        Foreign::Text
    })
}

/// The first bytes of something longer.
#[derive(Debug)]
pub struct Start<'f> {
    first: &'f [u8],
    size: u64,
}

impl<'f> Start<'f> {
    /// Of something so long, where that is known.
    #[must_use]
    pub fn new(first: &'f [u8], size: Option<u64>) -> Self {
        let size = size.unwrap_or(ENDLESS);
        Self { first, size }
    }
}

impl ReadAt for Start<'_> {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.first.read_at(offset, into)
    }

    fn size(&self) -> u64 {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: usize, magic: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 70_000];
        bytes[offset..offset + magic.len()].copy_from_slice(magic);
        bytes
    }

    fn volume(start: usize) -> Vec<u8> {
        let mut bytes = at(start, b"LABELONE");
        bytes[start + 24..start + 32].copy_from_slice(b"LVM2 001");
        bytes
    }

    #[test]
    fn what_programs_make_is_known() {
        use std::process::Command;
        let folder = tempfile::tempdir().unwrap();
        let (content, out) = (folder.path().join("content"), folder.path().join("out"));
        fs_err::create_dir(&content).unwrap();
        fs_err::write(content.join("file"), "content").unwrap();
        for program in ["mkfs.cramfs", "mke2fs"] {
            fs_err::write(&out, vec![0; 1 << 20]).unwrap();
            let mut command = Command::new(program);
            command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
            if program == "mkfs.cramfs" {
                command.arg(&content);
            } else {
                command.args(["-q", "-F"]);
            }
            match command.arg(&out).output() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                made => assert!(made.unwrap().status.success(), "{program}"),
            }
            let bytes = fs_err::read(&out).unwrap();
            assert_eq!(Content::of(&bytes, None), Content::Disk, "{program}");
        }
    }

    #[test]
    fn what_plainly_is_something_else_is_told_by_its_name() {
        for (bytes, name) in [
            (b"a text".to_vec(), "a text"),
            (b"LABELONE,LABELTWO\n1,2\n".to_vec(), "a text"),
            (b"404: Not Found\n".to_vec(), "a text"),
            ("ein Wort f\u{fc}r".as_bytes().to_vec(), "a text"),
            ("\u{fc}".repeat(5000).into_bytes(), "a text"),
            (
                b"\n<!DOCTYPE HTML><html>".to_vec(),
                "a page of the web (HTML)",
            ),
            (
                at(0, b"\x04\x22\x4D\x18"),
                "something that is packed by lz4",
            ),
            (at(0, b"LZIP\x01"), "something that is packed by lzip"),
            (
                at(
                    0,
                    &[
                        0x5D, 0, 0, 0x80, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0,
                    ],
                ),
                "something that is packed by lzma",
            ),
            (at(0, b"7z\xBC\xAF\x27\x1C"), "a 7z archive"),
            (at(0, b"Rar!\x1A\x07\x01\x00"), "a RAR archive"),
            (at(257, b"ustar\x0000"), "a tar archive"),
            (at(0, b"QFI\xFB"), "a virtual machine's disk (qcow2)"),
            (at(0, b"KDMV"), "a virtual machine's disk (vmdk)"),
            (at(0, b"vhdxfile"), "a virtual machine's disk (vhdx)"),
            (
                at(64, b"\x7F\x10\xDA\xBE"),
                "a virtual machine's disk (vdi)",
            ),
            (at(0, b"\x1F\x8B\x08"), "something that is packed by gzip"),
            (at(0, b"\xFD7zXZ\0"), "something that is packed by xz"),
            (at(0, b"PK\x03\x04"), "a ZIP archive"),
        ] {
            let Content::Foreign(found) = Content::of(&bytes, None) else {
                panic!("{name}");
            };
            assert_eq!(found.to_string(), name);
        }
    }

    #[test]
    fn what_boots_is_a_disk_whatever_else_it_looks_like_and_the_rest_is_unknown() {
        let mut disk = at(446 + 4, &[0x0C, 0, 0, 0, 8, 0, 0, 0, 100]);
        disk[510..512].copy_from_slice(&[0x55, 0xAA]);
        let mut odd = disk.clone();
        odd[64..68].copy_from_slice(b"\x7F\x10\xDA\xBE");
        for disk in [
            disk,
            odd,
            at(1080, &[0x53, 0xEF]),
            at(0, b"hsqs"),
            at(32769, b"CD001"),
            at(0x1_0040, b"_BHRfS_M"),
            at(1024, b"\x10\x20\xF5\xF2"),
            at(1024, b"\xE2\xE1\xF5\xE0"),
            at(0, b"XFSB\0\0\x10\0"),
            at(0, b"LUKS\xBA\xBE\0\x02"),
            volume(0),
            volume(512),
            volume(1536),
            at(3, b"EXFAT   "),
            at(1024, b"H+\0\x04"),
            at(1024, b"HX\0\x05"),
            at(32769, b"BEA01"),
            at(4096 + 24, b"\xC6\x85\x73\xF6"),
            at(32768, b"JFS1"),
            at(3, b"NTFS    "),
            at(0, b"\x45\x3D\xCD\x28"),
            at(0, b"-rom1fs-"),
        ] {
            assert_eq!(Content::of(&disk, Some(1 << 30)), Content::Disk);
        }
        for unknown in [
            vec![],
            vec![0; 4096],
            at(0, b"\x7FELF"),
            at(0, b"LUKS"),
            volume(2048),
            at(512, b"LABELONE"),
            b"\x01\x02".to_vec(),
        ] {
            assert_eq!(Content::of(&unknown, None), Content::Unknown);
        }
    }
}
