//! Images that cannot be preloaded. Whatever went wrong, they are as they were.

use std::path::Path;

use super::{Failure, Kind};
use crate::{
    image::container::Format,
    preload::{ArchiveError, Misfit, PreloadError, ToolError},
};

impl From<PreloadError> for Failure {
    fn from(error: PreloadError) -> Self {
        match error {
            PreloadError::Disk(error) => error.into(),
            PreloadError::Tool(error) => error.into(),
            error => {
                let failure = Self::from_error(Kind::Other, &error);
                match error {
                    PreloadError::Packed(path, format) => failure
                        .hint(unpacking(&path, format))
                        .hint("`os preload` keeps the holes of the file, so it takes little room"),
                    PreloadError::Drive(_) => {
                        failure.hint("preload the image, and write that to the drive")
                    }
                    PreloadError::Installer(_) => {
                        failure.hint("take the image of the board that is not an installer")
                    }
                    PreloadError::NoData(_) => {
                        failure.hint("`os image inspect` shows what is on it")
                    }
                    PreloadError::Damaged { image, start, .. } => {
                        let system = quoted_text(&format!("{}?offset={start}", image.display()));
                        failure
                            .hint("the image is as it was; download or make it anew")
                            .hint(format!(
                                "`e2fsck -f {system}` mends it and asks about what is lost by that"
                            ))
                    }
                    PreloadError::Followed { .. } => failure
                        .hint("the data partition has to be the last one of the image, as devices have it"),
                    PreloadError::NoRoom { .. } => failure
                        .hint("`--output` writes it elsewhere; the image is as it was"),
                    PreloadError::Occupied(_) | PreloadError::Used => {
                        failure.hint("take an image that no device has run from")
                    }
                    _ => failure.hint("the image is as it was"),
                }
            }
        }
    }
}

/// What unpacks an image beside itself, so that its holes are holes.
fn unpacking(path: &Path, format: Format) -> String {
    let program = match format {
        Format::Gzip => "gzip -dc",
        Format::Xz => "xz -dc",
        Format::Zstd => "zstd -dc",
        Format::Bzip2 => "bzip2 -dc",
        Format::Zip => "unzip -p",
        Format::Raw => return "the image is as it was".to_owned(),
    };
    let bare = match path.extension() {
        Some(_) => path.with_extension(""),
        None => path.with_extension("raw"),
    };
    let (packed, bare) = (quoted(path), quoted(&bare));
    format!(
        "`{program} {packed} | cp --sparse=always /dev/stdin {bare}` unpacks it; then preload {bare}"
    )
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    quoted_text(&path.display().to_string())
}

fn quoted_text(text: &str) -> String {
    shlex::try_quote(text).map_or(text.to_owned(), Into::into)
}

impl From<Misfit> for Failure {
    fn from(error: Misfit) -> Self {
        let failure = Self::from_error(Kind::Usage, &error);
        match error {
            Misfit::Cloud { .. } => {
                failure.hint("OSCLI_CLOUD is the domain of the cloud; a device obeys the one that it is configured for")
            }
            Misfit::Fleet { .. } => failure
                .hint("`os config write` or another config.json lets it join this one; a device obeys the fleet that it joins"),
            Misfit::Arch { .. } => failure.hint("--dont-check-arch takes it as it is"),
        }
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        Self::from_error(Kind::Device, &error).hint(
            "the image is as it was; the journal of the engine says more, and its disk may be full",
        )
    }
}

impl From<ToolError> for Failure {
    fn from(error: ToolError) -> Self {
        let failure = Self::from_error(Kind::Other, &error);
        match error {
            ToolError::Missing { package, .. } => {
                failure.hint(format!("`sudo apt install {package}`"))
            }
            ToolError::Start { .. } | ToolError::Ended { .. } | ToolError::Failed { .. } => {
                failure.hint("the image is as it was")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_unpacks_an_image_can_be_typed_as_it_stands() {
        let told = |name: &str, format| unpacking(Path::new(name), format);
        assert_eq!(
            told("/a/os.img.xz", Format::Xz),
            "`xz -dc /a/os.img.xz | cp --sparse=always /dev/stdin /a/os.img` unpacks it; then preload /a/os.img"
        );
        let odd = told("/a b/os.zip", Format::Zip);
        assert!(odd.starts_with("`unzip -p '/a b/os.zip' | cp"), "{odd}");
        assert!(odd.ends_with("then preload '/a b/os'"), "{odd}");
        let bare = told("/a/os", Format::Gzip);
        assert!(bare.ends_with("then preload /a/os.raw"), "{bare}");
    }
}
