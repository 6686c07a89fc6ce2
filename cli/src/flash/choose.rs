//! Whether a drive may be written. Pure.

use std::path::{Path, PathBuf};

use super::{
    Access,
    drives::{Bus, Drive, Number},
};
use crate::image::container::Length;

/// What the system runs from. A drive with one of these is never written.
const SYSTEM: [&str; 9] = [
    "/",
    "/usr",
    "/boot",
    "/boot/efi",
    "/efi",
    "/boot/firmware",
    "/home",
    "/var",
    "/etc",
];
/// Below these, desktops mount what comes and goes.
const PASSING: [&str; 2] = ["/media", "/run/media"];
/// Here, people mount what comes and goes, and what stays.
const BY_HAND: &str = "/mnt";

/// Why a drive is not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is the system's own.
    #[error("it holds {what} of this machine")]
    System {
        /// What it holds.
        what: String,
    },
    /// A reader without a card.
    #[error("nothing is in it")]
    Empty,
    /// It refuses to be written.
    #[error("it is write-protected; a card may have a lock at its side")]
    ReadOnly,
    /// It stays where it is.
    #[error("it is not removable ({})", bus.word())]
    Fixed {
        /// How it is connected.
        bus: Bus,
    },
    /// It is mounted where nobody mounts what is to be overwritten.
    #[error("it is mounted on {}", list(points))]
    Mounted {
        /// Where.
        points: Vec<PathBuf>,
    },
    /// Other drives are made of it.
    #[error("it is a part of {}", holders.join(", "))]
    Held {
        /// Their names.
        holders: Vec<String>,
    },
    /// It is a loop device that stands on another drive, of which all else would have to be said.
    #[error("it is over {name}")]
    Over {
        /// What it stands on.
        name: String,
    },
    /// The image has more bytes than it.
    #[error("it has {has} bytes, and the image {needs}")]
    Small {
        /// Its bytes.
        has: u64,
        /// Bytes of the image.
        needs: Length,
    },
}

fn list(points: &[PathBuf]) -> String {
    let points = points.iter().map(|point| point.display().to_string());
    points.collect::<Vec<_>>().join(", ")
}

/// What is asked of a drive.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// A person has named it.
    pub is_named: bool,
    /// Drives that are not removable are meant, too.
    pub allow_fixed: bool,
    /// Whether it is written or only compared.
    pub access: Access,
    /// Bytes of the image, as far as that is known.
    pub image: Length,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            is_named: false,
            allow_fixed: false,
            access: Access::Write,
            image: Length::UNKNOWN,
        }
    }
}

/// Whether a drive may be taken out.
#[must_use]
pub fn is_removable(drive: &Drive) -> bool {
    match drive.bus {
        Bus::Usb | Bus::Card => true,
        Bus::Virtual | Bus::Loop => false,
        Bus::Chip | Bus::Nvme | Bus::Inside => drive.is_removable,
    }
}

/// Judges a drive.
///
/// # Errors
/// The first reason against it, the gravest first.
pub fn judge(drive: &Drive, asked: Asked) -> Result<(), Refusal> {
    let reads_only = asked.access == Access::Read;
    if !reads_only {
        let is_system =
            |point: &&PathBuf| SYSTEM.iter().any(|own| point.as_path() == Path::new(own));
        if let Some(point) = drive.mounts.iter().find(is_system) {
            let what = point.display().to_string();
            return Err(Refusal::System { what });
        }
        if drive.is_swap {
            let what = "swap space".to_owned();
            return Err(Refusal::System { what });
        }
    }
    if drive.size == 0 {
        return Err(Refusal::Empty);
    }
    if !is_removable(drive) && !(asked.is_named && (asked.allow_fixed || reads_only)) {
        return Err(Refusal::Fixed { bus: drive.bus });
    }
    if reads_only {
        return Ok(());
    }
    if drive.is_read_only {
        return Err(Refusal::ReadOnly);
    }
    let points: Vec<PathBuf> = drive
        .mounts
        .iter()
        .filter(|point| {
            let is_by_hand = is_removable(drive) && point.starts_with(BY_HAND);
            !is_by_hand && !PASSING.iter().any(|place| point.starts_with(place))
        })
        .cloned()
        .collect();
    if !points.is_empty() {
        return Err(Refusal::Mounted { points });
    }
    if let Some(name) = drive.over.clone() {
        return Err(Refusal::Over { name });
    }
    if !drive.holders.is_empty() {
        let holders = drive.holders.clone();
        return Err(Refusal::Held { holders });
    }
    if asked.image.least() > drive.size {
        return Err(Refusal::Small {
            has: drive.size,
            needs: asked.image,
        });
    }
    Ok(())
}

/// Whether what is told of a drive by its number is still told of the same one, with the same medium in it.
#[must_use]
pub fn is_same(before: &Drive, now: &Drive) -> bool {
    let told = |drive: &Drive| {
        (
            drive.number,
            drive.size,
            drive.media,
            drive.model.clone(),
            drive.serial.clone(),
        )
    };
    told(before) == told(now)
}

/// What a number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meant<'d> {
    /// A drive.
    Drive(&'d Drive),
    /// A partition of this one.
    PartOf(&'d Drive),
    /// Nothing that is known.
    Nothing,
}

/// Finds a drive by its number.
#[must_use]
pub fn meant(drives: &[Drive], number: Number) -> Meant<'_> {
    let drive = drives.iter().find(|drive| drive.number == number);
    let part = || {
        drives.iter().find(|drive| {
            let mut parts = drive.partitions.iter();
            parts.any(|part| part.number == number)
        })
    };
    match (drive, part()) {
        (Some(drive), _) => Meant::Drive(drive),
        (None, Some(drive)) => Meant::PartOf(drive),
        (None, None) => Meant::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flash::drives::Partition;

    fn stick() -> Drive {
        Drive {
            name: "sdb".to_owned(),
            number: (8, 16),
            path: "/dev/sdb".into(),
            size: 1000,
            bus: Bus::Usb,
            model: String::new(),
            serial: None,
            media: Some(4),
            backing: None,
            over: None,
            is_removable: false,
            is_read_only: false,
            mounts: Vec::new(),
            is_swap: false,
            holders: Vec::new(),
            label: None,
            partitions: vec![Partition {
                name: "sdb1".to_owned(),
                number: (8, 17),
                label: None,
            }],
        }
    }

    #[test]
    fn the_systems_own_is_refused_whatever_is_said() {
        let most = Asked {
            is_named: true,
            allow_fixed: true,
            ..Asked::default()
        };
        for own in SYSTEM {
            let mut drive = stick();
            drive.mounts = vec!["/media/x".into(), own.into()];
            let what = own.to_owned();
            assert_eq!(judge(&drive, most), Err(Refusal::System { what }));
        }
        let mut drive = stick();
        drive.is_swap = true;
        assert!(matches!(judge(&drive, most), Err(Refusal::System { .. })));
        let compare = Asked {
            access: Access::Read,
            ..most
        };
        assert_eq!(judge(&drive, compare), Ok(()));
    }

    #[test]
    fn each_reason_is_named_and_fixed_drives_need_both_words() {
        let named = Asked {
            is_named: true,
            ..Asked::default()
        };
        let judged = |change: &dyn Fn(&mut Drive), asked| {
            let mut drive = stick();
            change(&mut drive);
            judge(&drive, asked).err()
        };
        assert_eq!(judged(&|_| {}, Asked::default()), None);
        assert_eq!(judged(&|drive| drive.size = 0, named), Some(Refusal::Empty));
        assert_eq!(
            judged(&|drive| drive.is_read_only = true, named),
            Some(Refusal::ReadOnly)
        );
        let passing = |drive: &mut Drive| drive.mounts = vec!["/run/media/ann/x".into()];
        assert_eq!(judged(&passing, named), None);
        let points = vec![PathBuf::from("/srv"), PathBuf::from("/mediator")];
        let mounted = |drive: &mut Drive| drive.mounts.clone_from(&points);
        assert_eq!(
            judged(&mounted, named),
            Some(Refusal::Mounted {
                points: points.clone()
            })
        );
        assert!(matches!(
            judged(&|drive| drive.holders = vec!["md0".to_owned()], named),
            Some(Refusal::Held { .. })
        ));
        for (image, is_small) in [
            (Length::Exactly(1001), true),
            (Length::AtLeast(1001), true),
            (Length::Exactly(1000), false),
            (Length::AtLeast(1000), false),
            (Length::UNKNOWN, false),
        ] {
            let asked = Asked { image, ..named };
            let small = Refusal::Small {
                has: 1000,
                needs: image,
            };
            assert_eq!(judged(&|_| {}, asked), is_small.then_some(small));
        }
        let small = Refusal::Small {
            has: 1000,
            needs: Length::AtLeast(1001),
        };
        let words = "it has 1000 bytes, and the image at least 1001";
        assert_eq!(small.to_string(), words);
        for bus in [Bus::Nvme, Bus::Inside, Bus::Loop, Bus::Virtual, Bus::Chip] {
            let fixed = |drive: &mut Drive| drive.bus = bus;
            let allowed = Asked {
                allow_fixed: true,
                ..Asked::default()
            };
            for asked in [Asked::default(), named, allowed] {
                assert_eq!(judged(&fixed, asked), Some(Refusal::Fixed { bus }));
            }
            let both = Asked {
                is_named: true,
                ..allowed
            };
            assert_eq!(judged(&fixed, both), None);
        }
    }

    #[test]
    fn a_fixed_drive_in_use_is_not_unmounted_and_what_is_over_another_is_not_written() {
        let all = Asked {
            allow_fixed: true,
            is_named: true,
            ..Asked::default()
        };
        let judged = |change: &dyn Fn(&mut Drive)| {
            let mut drive = stick();
            change(&mut drive);
            judge(&drive, all).err()
        };
        let mounted = |bus: Bus, point: &str| {
            let judged = judged(&|drive| {
                drive.bus = bus;
                drive.mounts = vec![point.into()];
            });
            matches!(judged, Some(Refusal::Mounted { .. }))
        };
        assert!(!mounted(Bus::Usb, "/mnt/data"));
        assert!(!mounted(Bus::Inside, "/run/media/ann/x"));
        assert!(mounted(Bus::Inside, "/mnt/data"));
        let over = |drive: &mut Drive| {
            drive.bus = Bus::Loop;
            drive.over = Some("sda2".to_owned());
        };
        let name = "sda2".to_owned();
        assert_eq!(judged(&over), Some(Refusal::Over { name }));
    }

    #[test]
    fn another_card_in_the_same_reader_is_another_drive() {
        let same = |change: &dyn Fn(&mut Drive)| {
            let mut drive = stick();
            change(&mut drive);
            is_same(&stick(), &drive)
        };
        assert!(same(&|_| {}));
        assert!(same(&|drive| drive.mounts.push("/media/x".into())));
        assert!(!same(&|drive| drive.media = Some(5)));
        assert!(!same(&|drive| drive.size = 0));
        assert!(!same(&|drive| drive.number = (8, 32)));
        assert!(!same(&|drive| drive.model.push('x')));
        assert!(!same(&|drive| drive.serial = Some("1".to_owned())));
    }

    #[test]
    fn a_partition_is_told_from_its_drive() {
        let drives = [stick()];
        assert_eq!(meant(&drives, (8, 16)), Meant::Drive(&drives[0]));
        assert_eq!(meant(&drives, (8, 17)), Meant::PartOf(&drives[0]));
        assert_eq!(meant(&drives, (8, 18)), Meant::Nothing);
    }
}
