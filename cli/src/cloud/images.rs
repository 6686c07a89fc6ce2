//! The images of operating systems that a cloud has.

use std::{fmt, str::FromStr, time::Duration};

use super::{
    Cloud, CloudError, Guest,
    os_versions::{self, DeviceType, OsVersion},
};
use crate::transport::{Limits, encode_query};

/// What an answer about all versions may take, and how large it may be.
const LIMITS: Limits = Limits {
    headers: Duration::from_secs(30),
    stall: Duration::from_secs(10),
    body: 32 << 20,
};

/// What an image does on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It writes the operating system to the device's own disk.
    InstallationMedia,
    /// It is the device's disk.
    DiskImage,
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "installation-media" | "flasher" => Ok(Self::InstallationMedia),
            "disk-image" | "raw" => Ok(Self::DiskImage),
            _ => Err("it is installation-media or disk-image".to_owned()),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InstallationMedia => "installation-media",
            Self::DiskImage => "disk-image",
        })
    }
}

/// An image of a cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsImage {
    /// Device type.
    pub slug: String,
    /// Version, as the cloud has it.
    pub version: String,
    /// What it does, where that is not left to the cloud.
    pub kind: Option<Kind>,
}

impl OsImage {
    /// What a file of it is called, without an end.
    #[must_use]
    pub fn stem(&self) -> String {
        let kind = self.kind.map(|kind| format!("-{kind}")).unwrap_or_default();
        format!("{}-{}{kind}", self.slug, self.version)
    }
}

impl Cloud<'_> {
    /// The versions for a device type, which may be named by another of its names; and its own one.
    ///
    /// # Errors
    /// [`CloudError`], also when there are none.
    pub async fn os_versions(
        &self,
        word: &str,
        with_drafts: bool,
    ) -> Result<(String, Vec<OsVersion>), CloudError> {
        let versions = self.versions_of(word, with_drafts).await?;
        if !versions.is_empty() {
            return Ok((word.to_owned(), versions));
        }
        let types = self.device_types().await?;
        let none = || CloudError::NoType {
            cloud: self.domain.to_string(),
            slug: word.to_owned(),
            near: os_versions::near(&types, word),
        };
        let found = os_versions::find(&types, word).filter(|found| found.slug != word);
        let slug = found.ok_or_else(none)?.slug.clone();
        let versions = self.versions_of(&slug, with_drafts).await?;
        if versions.is_empty() {
            return Err(none());
        }
        Ok((slug, versions))
    }

    async fn versions_of(
        &self,
        slug: &str,
        with_drafts: bool,
    ) -> Result<Vec<OsVersion>, CloudError> {
        let path = os_versions::path(slug, with_drafts);
        let answer = self.get_within(&path, LIMITS).await?;
        os_versions::versions(&answer.body).ok_or_else(|| self.unusable("versions"))
    }

    async fn device_types(&self) -> Result<Vec<DeviceType>, CloudError> {
        let answer = self.get_within("/device-types/v1", LIMITS).await?;
        os_versions::types(&answer.body).ok_or_else(|| self.unusable("device types"))
    }
}

impl Guest {
    /// Where an image is had, and what that place alone is shown, if anything.
    #[must_use]
    pub fn image(&self, image: &OsImage) -> (String, Option<&str>) {
        let kind = match image.kind {
            None => "",
            Some(Kind::DiskImage) => "&imageType=raw",
            Some(Kind::InstallationMedia) => "&imageType=flasher",
        };
        let address = format!(
            "https://api.{}/download?deviceType={}&version={}&fileType=.gz{kind}",
            self.domain,
            encode_query(&image.slug),
            encode_query(&image.version)
        );
        (address, self.token.as_ref().map(super::Token::text))
    }

    /// The same, where it lets in whoever comes.
    #[must_use]
    pub fn without_token(self) -> Self {
        Self {
            token: None,
            ..self
        }
    }

    /// Whether there is a token.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cloud::Domain,
        transport::{Authorities, Proxies},
    };

    #[test]
    fn an_image_is_had_by_type_version_and_kind() {
        let guest = Guest {
            domain: Domain::parse("cloud.test").unwrap(),
            authorities: Authorities::default(),
            proxies: Proxies::default(),
            token: None,
        };
        let mut image = OsImage {
            slug: "a b".to_owned(),
            version: "2.60.1+rev1.prod".to_owned(),
            kind: None,
        };
        let address = "https://api.cloud.test/download?deviceType=a%20b&version=2.60.1%2Brev1.prod&fileType=.gz";
        assert_eq!(guest.image(&image), (address.to_owned(), None));
        image.kind = Some("disk-image".parse().unwrap());
        assert!(guest.image(&image).0.ends_with("&imageType=raw"));
        assert_eq!(image.stem(), "a b-2.60.1+rev1.prod-disk-image");
        "disk".parse::<Kind>().unwrap_err();
    }
}
