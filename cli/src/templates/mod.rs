//! Starter projects: the folders of `templates/`, carried inside the program.
//!
//! In: a template's name and a folder. Out: its files in that folder. Nothing that is already there is touched.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use fs_err::os::unix::fs::OpenOptionsExt;

/// A starter project.
#[derive(Debug)]
pub struct Template {
    /// What it is called on the command line; the name of its folder.
    pub name: &'static str,
    /// What it shows, in one line.
    pub summary: &'static str,
    /// Its files.
    pub files: &'static [File],
}

/// A file of a starter project.
#[derive(Debug)]
pub struct File {
    /// Path below the project's folder, with `/`.
    pub path: &'static str,
    /// Content.
    pub content: &'static [u8],
    /// Whether it is a program.
    pub executable: bool,
}

/// Why a starter project was not written. Whatever had been created by then is removed again.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Files of the same name are there already.
    #[error("{} already has {}", folder.display(), list(files))]
    Occupied {
        /// The folder.
        folder: PathBuf,
        /// What is in the way, below the folder.
        files: Vec<&'static str>,
    },
    /// A file or folder could not be created.
    #[error("failed to write the project to {}", folder.display())]
    Write {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Names the file `$path` of the template in folder `$name`.
macro_rules! file {
    ($name:literal, $path:literal) => {
        file!($name, $path, false)
    };
    ($name:literal, $path:literal, $executable:literal) => {
        File {
            path: $path,
            content: include_bytes!(concat!("../../../templates/", $name, "/", $path)),
            executable: $executable,
        }
    };
}

/// All starter projects, the simplest first.
pub const ALL: &[Template] = &[
    Template {
        name: "web",
        summary: "one service that serves a page",
        files: &[
            file!("web", ".dockerignore"),
            file!("web", "Dockerfile"),
            file!("web", "README.md"),
            file!("web", "public/index.html"),
            file!("web", "start.sh", true),
        ],
    },
    Template {
        name: "web-and-worker",
        summary: "two services that share a network and a volume",
        files: &[
            file!("web-and-worker", ".dockerignore"),
            file!("web-and-worker", "README.md"),
            file!("web-and-worker", "docker-compose.yml"),
            file!("web-and-worker", "web/Dockerfile"),
            file!("web-and-worker", "web/public/cgi-bin/index.cgi", true),
            file!("web-and-worker", "web/start.sh", true),
            file!("web-and-worker", "worker/Dockerfile"),
            file!("web-and-worker", "worker/work.sh", true),
        ],
    },
];

/// The starter project of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Template> {
    ALL.iter().find(|template| template.name == name)
}

impl Template {
    /// Writes the project into `folder`, which is created when it is missing.
    ///
    /// # Errors
    /// [`WriteError::Occupied`] when a file of the same name is there; nothing is written then.
    pub fn write(&self, folder: &Path) -> Result<(), WriteError> {
        let files: Vec<_> = self
            .files
            .iter()
            .map(|file| file.path)
            .filter(|path| folder.join(path).symlink_metadata().is_ok())
            .collect();
        if !files.is_empty() {
            return Err(WriteError::Occupied {
                folder: folder.to_path_buf(),
                files,
            });
        }
        let mut created = Created::default();
        let result = self
            .files
            .iter()
            .try_for_each(|file| created.file(folder, file));
        result.map_err(|source| {
            created.undo();
            WriteError::Write {
                folder: folder.to_path_buf(),
                source,
            }
        })
    }
}

/// What has been created so far, oldest first.
#[derive(Default)]
struct Created {
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Created {
    fn file(&mut self, folder: &Path, file: &File) -> io::Result<()> {
        let path = folder.join(file.path);
        if let Some(parent) = path.parent() {
            self.folder(parent)?;
        }
        let mut out = fs_err::OpenOptions::new()
            .write(true)
            // What came into being since the check above is not overwritten either.
            .create_new(true)
            .mode(if file.executable { 0o777 } else { 0o666 })
            .open(&path)?;
        self.files.push(path);
        out.write_all(file.content)
    }

    fn folder(&mut self, path: &Path) -> io::Result<()> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.folder(parent)?;
        }
        fs_err::create_dir(path)?;
        self.folders.push(path.to_path_buf());
        Ok(())
    }

    /// Removes files, then the folders that are empty; what cannot be removed stays, the first error is what is reported.
    fn undo(self) {
        for file in self.files.iter().rev() {
            drop(fs_err::remove_file(file));
        }
        for folder in self.folders.iter().rev() {
            drop(fs_err::remove_dir(folder));
        }
    }
}

fn list(files: &[&str]) -> String {
    files.join(", ")
}

#[cfg(test)]
mod tests;
