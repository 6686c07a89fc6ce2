//! Whether an image is for devices of the fleet whose release is put into it. Pure.

use super::board_runs_word;
use crate::cloud::{Domain, releases::Fleet};

/// What config.json says of whose devices they become.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joined {
    /// The number of the fleet.
    pub fleet: Option<u64>,
    /// The address of its cloud's API.
    pub api: Option<String>,
}

/// It is for others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Its devices join another cloud.
    #[error("the image is configured for {api}, and {fleet} is a fleet of the cloud {cloud}")]
    Cloud {
        /// What it says.
        api: String,
        /// The fleet.
        fleet: String,
        /// Its cloud.
        cloud: String,
    },
    /// Its devices join another fleet.
    #[error("the image is configured for the fleet with the number {other}, and {fleet} has {id}")]
    Fleet {
        /// What it says.
        other: u64,
        /// The fleet.
        fleet: String,
        /// Its number.
        id: u64,
    },
    /// Its devices are of another kind.
    #[error("the image's devices are {board}, and those of {fleet} are {arch}")]
    Arch {
        /// What they are.
        board: String,
        /// The fleet.
        fleet: String,
        /// What its devices are.
        arch: String,
    },
}

/// Whether what it says is the same as what is asked for. What it does not say is no contradiction.
///
/// # Errors
/// [`Misfit`].
pub fn fits(
    joined: &Joined,
    board: Option<&str>,
    fleet: &Fleet,
    cloud: &Domain,
) -> Result<(), Misfit> {
    if let Some(api) = joined.api.as_ref().filter(|api| !is_of(api, cloud)) {
        return Err(Misfit::Cloud {
            api: api.clone(),
            fleet: fleet.slug.clone(),
            cloud: cloud.to_string(),
        });
    }
    if let Some(other) = joined.fleet.filter(|other| *other != fleet.id) {
        return Err(Misfit::Fleet {
            other,
            fleet: fleet.slug.clone(),
            id: fleet.id,
        });
    }
    match (board, &fleet.arch) {
        (Some(word), Some(arch)) if !board_runs_word(board, arch) => Err(Misfit::Arch {
            board: word.to_owned(),
            fleet: fleet.slug.clone(),
            arch: arch.clone(),
        }),
        _ => Ok(()),
    }
}

/// Whether an address is that of a cloud's API.
fn is_of(api: &str, cloud: &Domain) -> bool {
    let bare = api.split_once("://").map_or(api, |(_, rest)| rest);
    let host = bare.split(['/', ':']).next().unwrap_or_default();
    host.eq_ignore_ascii_case(&format!("api.{cloud}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet() -> Fleet {
        Fleet {
            id: 12,
            uuid: "bd11cca8ca704157a37819ed42db6563".to_owned(),
            slug: "ann/kitchen".to_owned(),
            device_type: None,
            arch: Some("armv7hf".to_owned()),
            running: None,
        }
    }

    /// What is told of an image that is configured so.
    fn told(number: Option<u64>, api: Option<&str>, board: Option<&str>) -> Result<(), String> {
        let joined = Joined {
            fleet: number,
            api: api.map(str::to_owned),
        };
        let cloud = Domain::parse("cloud.test").unwrap();
        fits(&joined, board, &fleet(), &cloud).map_err(|misfit| misfit.to_string())
    }

    #[test]
    fn an_image_is_for_the_fleet_that_it_names() {
        for (number, api) in [
            (None, None),
            (Some(12), Some("https://api.cloud.test")),
            (Some(12), Some("https://API.cloud.test:443/")),
        ] {
            for board in [None, Some("armv7hf"), Some("aarch64"), Some("riscv")] {
                assert_eq!(told(number, api, board), Ok(()), "{api:?} {board:?}");
            }
        }
        let near = "https://api.cloud.test.other.test";
        for (number, api, board, words) in [
            (Some(13), None, None, "the number 13"),
            (
                None,
                Some("https://api.other.test"),
                None,
                "https://api.other.test",
            ),
            (None, Some(near), None, near),
            (None, None, Some("amd64"), "devices are amd64"),
            (None, None, Some("rpi"), "devices are rpi"),
        ] {
            let why = told(number, api, board).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
    }
}
