//! Copies that come to no end.

use super::{Failure, Kind};
use crate::copy::{CopyError, InvalidPlace};

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Ssh(error) => error.into(),
            CopyError::Engine(error) => error.into(),
            error @ (CopyError::Here { .. }
            | CopyError::Missing { .. }
            | CopyError::NoFolder { .. }) => Self::from_error(Kind::Other, &error),
            error @ CopyError::InMemory { .. } => Self::from_error(Kind::Other, &error).hint(
                "a program of the container does: os exec DEVICE SERVICE -- cat PATH, or sh -c 'cat >PATH'",
            ),
            error @ CopyError::Failed { .. } => Self::from_error(Kind::Deploy, &error),
            error @ (CopyError::Answer { .. } | CopyError::Content { .. }) => {
                Self::from_error(Kind::Deploy, &error)
                    .hint("nothing of it was written outside of the folder that was named")
            }
        }
    }
}

impl From<InvalidPlace> for Failure {
    fn from(error: InvalidPlace) -> Self {
        Self::from_error(Kind::Usage, &error)
            .hint("DEVICE:PATH, DEVICE:SERVICE:PATH, a path of this machine, or - for a stream")
    }
}
