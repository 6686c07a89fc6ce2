//! What boot loaders are told: lines `key=value`, with GRUB in a block that is filled up to its size.
//!
//! In: a file's bytes. Out: a [`BootEnv`], and the bytes afterwards: what others wrote stays. Pure. Formats: GRUB's environment block
//! (its manual, "Environment block"), and `resinOS_uEnv.txt` of U-Boot boards, which is text.

use thiserror::Error;

/// The first line of a block, and its size.
const SIGNATURE: &str = "# GRUB Environment Block";
const BLOCK: usize = 1024;
/// Bytes of a file.
pub(super) const MAX_BYTES: u64 = 64 * 1024;

const ROOT: &str = "resin_root_part";
const UPGRADE: &str = "upgrade_available";
const COUNT: &str = "bootcount";

/// Why it cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum NoBootEnv {
    /// Not text.
    #[error("it is no text")]
    NoText,
    /// A line of it is missing, or holds something else.
    #[error("`{0}` is not as a boot loader reads it")]
    Key(&'static str),
    /// GRUB's block has an end.
    #[error("it has no room")]
    Full,
}

/// One of the two systems of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// `resin-rootA`, partition 2.
    A,
    /// `resin-rootB`, partition 3.
    B,
}

impl Slot {
    /// The other one.
    pub(super) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    fn partition(self) -> &'static str {
        match self {
            Self::A => "2",
            Self::B => "3",
        }
    }

    /// The system that runs, by the kernel's command line.
    pub(super) fn of_command_line(words: &str) -> Option<Self> {
        let mut words = words.split_ascii_whitespace().rev();
        let label = words.find_map(|word| word.strip_prefix("root=LABEL="))?;
        match label {
            "resin-rootA" => Some(Self::A),
            "resin-rootB" => Some(Self::B),
            _ => None,
        }
    }
}

/// What a boot loader is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BootEnv {
    /// The system that is started.
    pub(crate) root: Slot,
    /// Whether it is new, and has not shown yet that it works.
    pub(crate) is_on_trial: bool,
}

/// Reads it.
pub(super) fn read(bytes: &[u8]) -> Result<BootEnv, NoBootEnv> {
    let text = std::str::from_utf8(bytes).map_err(|_| NoBootEnv::NoText)?;
    let value = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value.trim())
    };
    Ok(BootEnv {
        root: match value(ROOT) {
            Some("2") => Slot::A,
            Some("3") => Slot::B,
            _ => return Err(NoBootEnv::Key(ROOT)),
        },
        is_on_trial: match value(UPGRADE) {
            Some("1") => true,
            Some("0" | "") | None => false,
            Some(_) => return Err(NoBootEnv::Key(UPGRADE)),
        },
    })
}

fn written((key, value): (&str, &str)) -> String {
    format!("{key}={value}")
}

/// The bytes that say this, with boots counted anew.
pub(super) fn write(before: &[u8], env: BootEnv) -> Result<Vec<u8>, NoBootEnv> {
    let text = std::str::from_utf8(before).map_err(|_| NoBootEnv::NoText)?;
    let is_block = text.starts_with(SIGNATURE);
    let ours = [
        (ROOT, env.root.partition()),
        (UPGRADE, if env.is_on_trial { "1" } else { "0" }),
        (COUNT, "0"),
    ];
    let mut missing = ours.map(Some);
    let mut lines: Vec<String> = Vec::new();
    // Every line keeps its place and its bytes: what the first one says is what kind of file this is.
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        let is_filling = is_block && !line.is_empty() && line.bytes().all(|b| b == b'#');
        let name = line.split_once('=').map(|(name, _)| name);
        match ours.iter().position(|(key, _)| name == Some(*key)) {
            // The first one counts.
            Some(at) => lines.extend(missing.get_mut(at).and_then(Option::take).map(written)),
            None if is_filling => {}
            None => lines.push(line.to_owned()),
        }
    }
    lines.extend(missing.into_iter().flatten().map(written));
    let mut bytes = lines.join("\n").into_bytes();
    bytes.push(b'\n');
    if is_block {
        if bytes.len() > BLOCK {
            return Err(NoBootEnv::Full);
        }
        bytes.resize(BLOCK, b'#');
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_grub_stays_one() {
        let mut block = b"# GRUB Environment Block\ntheirs=a#b\nresin_root_part=3\nupgrade_available=1\nbootcount=1\n".to_vec();
        block.resize(BLOCK, b'#');
        assert_eq!(
            read(&block),
            Ok(BootEnv {
                root: Slot::B,
                is_on_trial: true
            })
        );
        let kept = write(
            &block,
            BootEnv {
                root: Slot::B,
                is_on_trial: false,
            },
        )
        .unwrap();
        assert_eq!(kept.len(), BLOCK);
        let text = String::from_utf8(kept.clone()).unwrap();
        let lines = text.trim_end_matches('#');
        assert_eq!(
            lines,
            "# GRUB Environment Block\ntheirs=a#b\nresin_root_part=3\nupgrade_available=0\nbootcount=0\n"
        );
        assert_eq!(
            read(&kept),
            Ok(BootEnv {
                root: Slot::B,
                is_on_trial: false
            })
        );
        let back = write(
            &kept,
            BootEnv {
                root: Slot::A,
                is_on_trial: false,
            },
        )
        .unwrap();
        assert_eq!(read(&back).unwrap().root, Slot::A);
        let full = format!(
            "# GRUB Environment Block\na={}\nresin_root_part=2\n",
            "x".repeat(BLOCK)
        );
        assert_eq!(
            write(full.as_bytes(), read(&block).unwrap()),
            Err(NoBootEnv::Full)
        );
    }

    #[test]
    fn a_text_of_u_boot_stays_one() {
        let text = b"resin_root_part=2\r\nupgrade_available=0\n";
        assert_eq!(
            read(text),
            Ok(BootEnv {
                root: Slot::A,
                is_on_trial: false
            })
        );
        let written = write(
            text,
            BootEnv {
                root: Slot::B,
                is_on_trial: true,
            },
        )
        .unwrap();
        assert_eq!(
            written,
            b"resin_root_part=3\nupgrade_available=1\nbootcount=0\n"
        );
    }

    #[test]
    fn what_others_wrote_keeps_its_place_and_its_bytes() {
        let settled = BootEnv {
            root: Slot::B,
            is_on_trial: false,
        };
        let text = b"resin_root_part=2\n# GRUB Environment Block\n###\nbootcount=4\ntheirs=1\r\r\nbootcount=5\n\nx";
        let once = write(text, settled).unwrap();
        let wanted = "resin_root_part=3\n# GRUB Environment Block\n###\nbootcount=0\ntheirs=1\r\r\n\nx\nupgrade_available=0\n";
        assert_eq!(String::from_utf8(once.clone()).unwrap(), wanted);
        assert_eq!(write(&once, settled), Ok(once));
    }

    #[test]
    fn what_is_none_is_told() {
        assert_eq!(read(b""), Err(NoBootEnv::Key(ROOT)));
        assert_eq!(read(b"resin_root_part=4\n"), Err(NoBootEnv::Key(ROOT)));
        assert_eq!(
            read(b"resin_root_part=2\nupgrade_available=yes\n"),
            Err(NoBootEnv::Key(UPGRADE))
        );
        assert_eq!(read(&[0xFF; 1024]), Err(NoBootEnv::NoText));
    }

    #[test]
    fn the_command_line_says_which_system_runs() {
        let slot = |words: &str| Slot::of_command_line(words);
        assert_eq!(slot("ro root=LABEL=resin-rootB quiet\n"), Some(Slot::B));
        assert_eq!(
            slot("root=LABEL=resin-rootA root=LABEL=resin-rootB"),
            Some(Slot::B)
        );
        assert_eq!(slot("root=/dev/sda2"), None);
    }
}
