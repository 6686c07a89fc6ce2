//! What a server says an image's bytes are: lists of checksums beside it, and fields of its answer. Pure.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::digest::{Context, SHA256, SHA512};

/// How a checksum is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// As fields of answers name it (RFC 9530).
    fn of_field(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "sha-256" => Some(Self::Sha256),
            "sha-512" => Some(Self::Sha512),
            _ => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
        })
    }
}

/// What bytes have to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// How it is made.
    pub algorithm: Algorithm,
    /// Its value.
    pub value: Vec<u8>,
    /// Who says so, for messages: a file or a field.
    pub place: String,
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, hex(&self.value))
    }
}

/// The text of some bytes in lower hex digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(digit).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    pairs
        .map(|pair| pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect()
}

/// What a list is of, and who believes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Of the files of a folder.
    OfFolder,
    /// Of the one file by which it is called.
    OfFile,
    /// It has to be signed: a checksum counts for the file that it names, whatever the list is called.
    Signed,
}

/// The checksums of a file in a list as `sha256sum` and its like print them: `HEX  NAME`, `HEX *NAME`, `SHA256 (NAME) = HEX`, or one `HEX`
/// alone, where the list is of one file. Names may have folders before them: a file of that name in a folder is another one, where the list has the
/// name without a folder, too. Lines that are none are passed over.
#[must_use]
pub fn of_list(text: &str, file: &str, list: List, place: &str) -> Vec<Checksum> {
    let (mut found, mut elsewhere, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for (value, name) in lines(text) {
        let Some(name) = name.or((list != List::Signed).then_some(file)) else {
            continue;
        };
        let all = match name.rsplit_once('/') {
            None if name == file => &mut found,
            Some((_, name)) if name == file => &mut elsewhere,
            _ => &mut others,
        };
        all.extend(of_hex(value, place));
    }
    if !found.is_empty() {
        return found;
    }
    // What was renamed with its list, but for the name in that. A name without an end of ours is that of what is packed in it.
    let is_inside = |name: &str| {
        file.strip_prefix(name)
            .is_some_and(|end| end.starts_with('.'))
    };
    let is_packed = names_of(text).iter().any(|name| is_inside(name));
    if elsewhere.is_empty() && others.len() == 1 && list == List::OfFile && !is_packed {
        return others;
    }
    elsewhere
}

/// The names of the files that a list has checksums of.
#[must_use]
pub fn names_of(text: &str) -> Vec<String> {
    let named = lines(text).filter(|(value, _)| of_hex(value, "").is_some());
    named
        .filter_map(|(_, name)| name.map(str::to_owned))
        .collect()
}

/// Each line's value, and its name, if it has one.
fn lines(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        let (value, name) = match line.split_once(" = ") {
            Some((of, value)) => {
                let (_, name) = of.split_once(" (")?;
                (value, Some(name.strip_suffix(')')?))
            }
            None => match line.split_once([' ', '\t']) {
                Some((value, name)) => (value, Some(name.trim_start().trim_start_matches('*'))),
                None => (line, None),
            },
        };
        let name = name.map(|name| name.strip_prefix("./").unwrap_or(name));
        Some((value.trim(), name))
    })
}

fn of_hex(text: &str, place: &str) -> Option<Checksum> {
    let value = unhex(text)?;
    let fits = |algorithm: &Algorithm| algorithm.length() == value.len();
    let algorithm = Algorithm::ALL.into_iter().find(fits)?;
    Some(Checksum {
        algorithm,
        value,
        place: place.to_owned(),
    })
}

/// The checksums in a field of an answer: `sha-256=:BASE64:` of `Repr-Digest` (RFC 9530), `sha-256=BASE64` of the older `Digest`.
#[must_use]
pub fn of_field(text: &str, field: &str) -> Vec<Checksum> {
    let one = |part: &str| {
        let (name, value) = part.trim().split_once('=')?;
        let algorithm = Algorithm::of_field(name)?;
        let value = value
            .strip_prefix(':')
            .and_then(|value| value.strip_suffix(':'))
            .unwrap_or(value);
        let value = STANDARD.decode(value).ok()?;
        (value.len() == algorithm.length()).then(|| Checksum {
            algorithm,
            value,
            place: format!("the answer's {field}"),
        })
    };
    text.split(',').filter_map(one).collect()
}

/// Takes bytes in their order, and has all checksums of them at the end.
#[derive(Clone)]
pub struct Sums {
    sha256: Context,
    sha512: Option<Context>,
}

impl fmt::Debug for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sums").finish_non_exhaustive()
    }
}

impl Sums {
    /// SHA-256 always, SHA-512 where one is known.
    #[must_use]
    pub fn new(of: &[Checksum]) -> Self {
        let is_512 = of.iter().any(|one| one.algorithm == Algorithm::Sha512);
        Self {
            sha256: Context::new(&SHA256),
            sha512: is_512.then(|| Context::new(&SHA512)),
        }
    }

    /// The next bytes.
    pub fn take(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(sha512) = &mut self.sha512 {
            sha512.update(bytes);
        }
    }

    /// All of them.
    #[must_use]
    pub fn finish(self) -> Finished {
        let value = |context: Context| context.finish().as_ref().to_vec();
        Finished {
            sha256: value(self.sha256),
            sha512: self.sha512.map(value),
        }
    }
}

/// The checksums of bytes that have come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    sha256: Vec<u8>,
    sha512: Option<Vec<u8>>,
}

impl Finished {
    /// SHA-256 in lower hex digits.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex(&self.sha256)
    }

    /// The checksum of a kind in lower hex digits; nothing where it was not made.
    #[must_use]
    pub fn text(&self, algorithm: Algorithm) -> String {
        match algorithm {
            Algorithm::Sha256 => self.sha256(),
            Algorithm::Sha512 => self.sha512.as_deref().map(hex).unwrap_or_default(),
        }
    }

    /// The first of the checksums that these bytes do not have.
    #[must_use]
    pub fn wrong<'a>(&self, of: &'a [Checksum]) -> Option<&'a Checksum> {
        of.iter().find(|one| match one.algorithm {
            Algorithm::Sha256 => self.sha256 != one.value,
            Algorithm::Sha512 => self.sha512.as_ref() != Some(&one.value),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn list(text: &str) -> Vec<String> {
        let found = of_list(text, "os.img.xz", List::OfFolder, "SHA256SUMS");
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn lists_of_all_kinds_are_read() {
        let expected = [format!("SHA-256 {EMPTY}")];
        for text in [
            format!("{EMPTY}  os.img.xz\n"),
            format!("{EMPTY} *./images/os.img.xz\r\n"),
            format!("SHA256 (os.img.xz) = {}", EMPTY.to_uppercase()),
            format!(
                "# of today\n{}  other.img\n{EMPTY}\tos.img.xz",
                "0".repeat(64)
            ),
            format!("{EMPTY}\n"),
        ] {
            assert_eq!(list(&text), expected, "{text}");
        }
        for text in [
            "",
            "e3b0  os.img.xz",
            "zz  os.img.xz",
            &format!("{EMPTY}  other-os.img.xz"),
            &format!("{EMPTY}  os.img.xz.asc"),
            "é  os.img.xz",
        ] {
            assert_eq!(list(text), Vec::<String>::new(), "{text}");
        }
        let both = format!("{EMPTY}  os.img.xz\n{}  os.img.xz\n", "ab".repeat(64));
        assert_eq!(list(&both).len(), 2);
    }

    #[test]
    fn a_file_of_another_folder_is_another_one() {
        let (right, wrong) = (EMPTY, "0".repeat(64));
        let expected = [format!("SHA-256 {EMPTY}")];
        for text in [
            format!("{wrong}  gtk/os.img.xz\n{right}  ./os.img.xz"),
            format!("{right}  os.img.xz\n{wrong}  ./gtk/os.img.xz"),
            format!("{right}  images/os.img.xz"),
        ] {
            assert_eq!(list(&text), expected, "{text}");
        }
    }

    #[test]
    fn the_name_of_a_list_names_its_file_where_nobody_has_to_have_signed_it() {
        let count = |text: &str, list| of_list(text, "os.img.xz", list, "os.img.xz.sha256").len();
        let other = format!("{EMPTY}  os-1.0.img.xz\n");
        let two = format!("{other}{EMPTY}  os-2.0.img.xz\n");
        assert_eq!(count(&other, List::OfFile), 1);
        assert_eq!(count(&two, List::OfFile), 0);
        assert_eq!(names_of(&two), ["os-1.0.img.xz", "os-2.0.img.xz"]);
        assert_eq!(count(&other, List::OfFolder), 0);
        for text in [EMPTY, &other] {
            assert_eq!(count(text, List::Signed), 0, "{text}");
        }
        assert_eq!(count(&format!("{EMPTY}  os.img.xz"), List::Signed), 1);
    }

    #[test]
    fn fields_of_answers_are_read() {
        let value = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        for text in [
            format!("sha-256=:{value}:"),
            format!("md5=:1B2M2Y8AsgTpgAmY7PhCfg==:, SHA-256={value}"),
        ] {
            let found = of_field(&text, "Repr-Digest");
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(hex(&found[0].value), EMPTY);
        }
        assert_eq!(of_field("sha-256=:AAAA:, sha-256=?, x", "Digest"), []);
    }

    #[test]
    fn every_checksum_has_to_be_that_of_the_bytes() {
        let right = of_list(EMPTY, "x", List::OfFile, "x.sha256");
        let wrong = of_list(&"ab".repeat(64), "x", List::OfFile, "x.sha512");
        let both = [right.clone(), wrong.clone()].concat();
        let mut sums = Sums::new(&both);
        sums.take(b"");
        let finished = sums.finish();
        assert_eq!(finished.sha256(), EMPTY);
        assert_eq!(finished.wrong(&right), None);
        assert_eq!(finished.wrong(&both), Some(&wrong[0]));
        // What was not made cannot be right.
        assert_eq!(Sums::new(&[]).finish().wrong(&wrong), Some(&wrong[0]));
    }
}
