//! Block maps as `bmaptool` writes them, and others.

use super::*;

fn hash(kind: Sum, bytes: &[u8]) -> String {
    let digest = digest::digest(kind.algorithm(), bytes);
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    digits.collect::<Vec<_>>().concat()
}

/// A file as `bmaptool create` writes it.
fn written(size: u64, block: u64, ranges: &[(&str, &[u8])]) -> String {
    let zeros = "0".repeat(64);
    let lines = ranges.iter().map(|(blocks, bytes)| {
        let sum = hash(Sum::Sha256, bytes);
        format!("        <Range chksum=\"{sum}\"> {blocks} </Range>")
    });
    let lines = lines.collect::<Vec<_>>().join("\n");
    let text = format!(
        "<?xml version=\"1.0\" ?>\n<!-- words -->\n\n<bmap version=\"2.0\">\n    <ImageSize> {size} </ImageSize>\n    <BlockSize> {block} </BlockSize>\n    \
         <BlocksCount> {} </BlocksCount>\n    <ChecksumType> sha256 </ChecksumType>\n    <BmapFileChecksum> {zeros} </BmapFileChecksum>\n    \
         <BlockMap>\n{lines}\n    </BlockMap>\n</bmap>\n",
        size.div_ceil(block)
    );
    let sum = hash(Sum::Sha256, text.as_bytes());
    text.replace(&zeros, &sum)
}

#[test]
fn what_bmaptool_writes_is_read() {
    let text = written(10_000, 4096, &[("0", b"x"), ("2-2", b"y")]);
    let bmap = Bmap::read(text.as_bytes()).unwrap();
    assert_eq!((bmap.size, bmap.kind), (10_000, Sum::Sha256));
    let ranges: Vec<_> = bmap
        .ranges
        .iter()
        .map(|found| found.range.clone())
        .collect();
    assert_eq!(ranges, [0..4096, 8192..10_000]);
    let damaged = text.replace("2-2", "1-2");
    assert_eq!(Bmap::read(damaged.as_bytes()), Err(BmapError::Damaged));
}

#[test]
fn an_old_one_has_other_names_and_one_without_sums_is_taken() {
    let zeros = "0".repeat(40);
    let text = format!(
        "<bmap version=\"1.3\"><ImageSize>8192</ImageSize><BlockSize>4096</BlockSize><MappedBlocksCount>1</MappedBlocksCount>\
         <BmapFileSHA1>{zeros}</BmapFileSHA1><BlockMap><Range sha1=\"{}\">1</Range></BlockMap></bmap>",
        hash(Sum::Sha1, b"")
    );
    let text = text.replace(&zeros, &hash(Sum::Sha1, text.as_bytes()));
    let bmap = Bmap::read(text.as_bytes()).unwrap();
    assert_eq!(bmap.ranges[0].range, 4096..8192);
    assert_eq!(bmap.ranges[0].sum.as_ref().unwrap().len(), 20);
    let bare = "<bmap version=\"1.2\"><ImageSize>1</ImageSize><BlockSize>4096</BlockSize><BlockMap><Range>0-0</Range></BlockMap></bmap>";
    assert_eq!(Bmap::read(bare.as_bytes()).unwrap().ranges[0].sum, None);
}

#[test]
fn what_cannot_be_is_named() {
    let with = |size: &str, block: &str, ranges: &str| {
        let text = format!(
            "<bmap version=\"2.0\"><ImageSize>{size}</ImageSize><BlockSize>{block}</BlockSize><BlockMap>{ranges}</BlockMap></bmap>"
        );
        Bmap::read(text.as_bytes())
            .map(drop)
            .map_err(|error| error.to_string())
    };
    for (size, block, ranges, words) in [
        ("x", "4096", "", "ImageSize cannot be x"),
        ("-1", "4096", "", "ImageSize"),
        ("9999999999999999999", "4096", "", "ImageSize"),
        ("8192", "0", "", "BlockSize cannot be 0"),
        ("8192", "513", "", "BlockSize cannot be 513"),
        ("8192", "4096", "<Range>2</Range>", "Range cannot be 2"),
        ("8192", "4096", "<Range>1-0</Range>", "Range cannot be 1-0"),
        (
            "8192",
            "4096",
            "<Range>1</Range><Range>0</Range>",
            "Range cannot be 0",
        ),
        (
            "8192",
            "4096",
            "<Range>0</Range><Range>0-1</Range>",
            "Range cannot be 0-1",
        ),
        (
            "8192",
            "4096",
            "<Range>18446744073709551615</Range>",
            "Range",
        ),
        (
            "8192",
            "4096",
            "<Range chksum=\"12\">0</Range>",
            "chksum cannot be 12",
        ),
    ] {
        let error = with(size, block, ranges).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(with("8192", "4096", "<Range>0-1</Range>"), Ok(()));
    for (text, words) in [
        ("", "no block map"),
        ("<html/>", "it is a html"),
        ("<bmap version=\"3.0\"/>", "version is 3.0"),
        ("<bmap/>", "no version"),
        ("<bmap version=\"2.0\"/>", "no ImageSize"),
        ("<bmap></b>", "expected 'bmap' tag, not 'b' at 1:7"),
    ] {
        let error = Bmap::read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let long = format!("<bmap>\n</{}>", "b".repeat(1_000_000));
    let error = Bmap::read(long.as_bytes()).unwrap_err().to_string();
    assert!(error.len() < 200 && error.ends_with("… at 2:1"), "{error}");
}

#[test]
fn ranges_are_added_up_however_the_bytes_come() {
    let image: Vec<u8> = (0..12_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let good = written(
        12_000,
        4096,
        &[("0", &image[..4096]), ("2", &image[8192..])],
    );
    let bad = written(
        12_000,
        4096,
        &[("0", &image[..4096]), ("2", &image[8191..])],
    );
    for (text, expected) in [(good, Ok(())), (bad, Err(8192..12_000))] {
        let bmap = Bmap::read(text.as_bytes()).unwrap();
        for size in [1, 100, 4096, 5000, 12_000] {
            let mut checker = Checker::new(&bmap);
            let mut offset = 0;
            let mut result = Ok(());
            for part in image.chunks(size) {
                result = result.and(checker.take(offset, part));
                offset += u64::try_from(part.len()).unwrap();
            }
            assert_eq!(result, expected, "in pieces of {size}");
        }
    }
}

#[test]
fn what_is_made_to_take_long_is_refused_at_once() {
    let begun = std::time::Instant::now();
    let deep = 300_000;
    let each = |form: &dyn Fn(u32) -> String| (0..deep).map(form).collect::<Vec<_>>().concat();
    let many = each(&|name| format!(" a{name}='>'"));
    let namespaces = each(&|name| format!("<a xmlns:b{name}='c'>"));
    for text in [
        format!("<bmap version='2.0'{many}/>"),
        format!("<bmap version='2.0'>{namespaces}"),
        format!("<bmap version='2.0'>{}", "<a>".repeat(300_000)),
        format!(
            "<bmap version='2.0'>{}{}</bmap>",
            "<a>".repeat(300_000),
            "</a>".repeat(300_000)
        ),
        format!("<bmap version='2.0'>{}</bmap>", "<a/>".repeat(3_000_000)),
    ] {
        let error = Bmap::read(text.as_bytes()).unwrap_err();
        assert!(error.to_string().len() < 400, "{error}");
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(20));
}
