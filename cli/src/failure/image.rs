//! Disk images, and what they are configured with.

use std::io;

use super::{Failure, Kind};
use crate::{
    image::{
        DiskError,
        boot::PartitionError,
        container::{ArchiveFault, ContainerError},
        fat::FatError,
        table::TableError,
    },
    provision::{CertificateError, WishError, config::ConfigError, network::NetworkError},
};

/// Where what is unpacked has no room.
const ELSEWHERE: &str = "the variable TMPDIR names another folder for what is unpacked";

impl From<DiskError> for Failure {
    fn from(error: DiskError) -> Self {
        let failure = Self::from_error(Kind::Other, &error);
        match &error {
            DiskError::Missing { .. } => failure,
            DiskError::Open { source, .. } | DiskError::Write { source, .. } => {
                opened(failure, source)
            }
            DiskError::Busy {
                is_drive: true,
                path,
            } => failure.hint(format!(
                "something of it is mounted: `umount {}?*`",
                path.display()
            )),
            DiskError::Busy { .. } => {
                failure.hint("another command changes it: try again when that has ended")
            }
            DiskError::Container(error) => packed(failure, error),
            DiskError::Boot {
                source: PartitionError::Table(TableError::Read(source)),
                ..
            } if source.kind() == io::ErrorKind::StorageFull => failure.hint(ELSEWHERE),
            DiskError::Boot { source, .. } => match source {
                PartitionError::Table(TableError::Damaged(_))
                | PartitionError::FileSystem { .. } => {
                    failure.hint("it may be damaged: download or make it anew")
                }
                PartitionError::Table(_) | PartitionError::None => {
                    failure.hint("an image of a whole disk is expected, as it is written to a card")
                }
            },
            DiskError::Fat { source, .. } => match source {
                FatError::Read(source) if source.kind() == io::ErrorKind::StorageFull => {
                    failure.hint(ELSEWHERE)
                }
                FatError::Full { .. } | FatError::FolderFull { .. } => {
                    failure.hint("nothing was changed; its boot partition needs more room")
                }
                FatError::Damaged(_) => failure
                    .hint("nothing was changed; `fsck.vfat` says more, or make the image anew"),
                _ => failure,
            },
        }
    }
}

fn opened(failure: Failure, source: &io::Error) -> Failure {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            failure.hint("a drive belongs to root: run this with sudo; a file may be read-only")
        }
        io::ErrorKind::StorageFull => {
            failure.hint("nothing was changed; a packed image is packed again beside itself")
        }
        io::ErrorKind::Interrupted => Failure::interrupted().hint("the image is as it was"),
        _ => failure,
    }
}

/// What to do about an image that does not unpack.
pub(super) fn packed(failure: Failure, error: &ContainerError) -> Failure {
    match error {
        ContainerError::Read { source, .. } | ContainerError::Pack { source, .. } => {
            match source.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::InvalidData
                | io::ErrorKind::InvalidInput => {
                    failure.hint("it was cut off or damaged: download or make it anew")
                }
                io::ErrorKind::StorageFull if matches!(error, ContainerError::Read { .. }) => {
                    failure.hint(ELSEWHERE)
                }
                _ => opened(failure, source),
            }
        }
        ContainerError::Archive { fault, .. } => archived(failure, fault),
    }
}

/// What to do about an archive that is not taken for an image.
pub(super) fn archived(failure: Failure, fault: &ArchiveFault) -> Failure {
    failure.hint(match fault {
        ArchiveFault::Damaged(_) => "it was cut off or damaged: download or make it anew",
        ArchiveFault::Unknown(_) => "`7z x` may know it: unpack it, and name what comes out",
        ArchiveFault::Encrypted => {
            "`7z x` asks for its password: unpack it, and name what comes out"
        }
        ArchiveFault::Several { .. } => "unpack it (`unzip`), and name the one that is meant",
        ArchiveFault::Empty => "is it the archive that was meant?",
        ArchiveFault::Piped => "its list stands at its end: name its file",
    })
}

impl From<WishError> for Failure {
    fn from(error: WishError) -> Self {
        match error {
            WishError::Config(error) => error.into(),
            WishError::Network(error) => error.into(),
            error => {
                let failure = Self::from_error(Kind::Usage, &error);
                match error {
                    WishError::PrivateKey(name) => failure.hint(format!(
                        "its public one is meant, which `ssh-keygen -y -f {name}` shows"
                    )),
                    WishError::Certificates(error) => error.into(),
                    WishError::PublicKey(_) => failure.hint(
                        "`ssh-keygen -t ed25519` makes a pair; the one that ends in .pub is public",
                    ),
                    WishError::DeviceType { .. } => {
                        failure.hint("take the configuration or the image of the other type")
                    }
                    _ => failure,
                }
            }
        }
    }
}

impl From<CertificateError> for Failure {
    fn from(error: CertificateError) -> Self {
        let failure = Self::from_error(Kind::Usage, &error);
        match error {
            CertificateError::KeyBeside(_) => {
                failure.hint("a file with the certificates alone is meant")
            }
            CertificateError::None(_) => {
                failure.hint("they stand there as text, from -----BEGIN CERTIFICATE----- on")
            }
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let failure = Self::from_error(Kind::Usage, &error);
        match error {
            ConfigError::Unknown { near, .. } if near.is_empty() => failure
                .hint("--any-key writes it all the same")
                .hint("`os config keys` lists those that devices read"),
            ConfigError::Unknown { near, .. } => {
                failure.hint(format!("did you mean {}?", near.join(" or ")))
            }
            ConfigError::NoObject(_) => {
                failure.hint("`os config inject FILE` or `os configure --config FILE` puts another one in its place")
            }
            _ => failure,
        }
    }
}

impl From<NetworkError> for Failure {
    fn from(error: NetworkError) -> Self {
        Self::from_error(Kind::Usage, &error)
    }
}
