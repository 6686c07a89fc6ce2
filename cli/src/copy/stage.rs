//! Where the files of a batch wait on the other side until all of them have arrived: a folder beside the place that they go to.

use std::io;

use ring::rand::{SecureRandom as _, SystemRandom};

use super::{
    CopyError,
    item::{Beneath, part_begin},
    script::Script,
};

/// The folder of one attempt. A session that was cut may still end, and removes its own then.
#[derive(Debug)]
pub(super) struct Stage {
    begin: Vec<u8>,
    /// As a shell takes it below the folder that is copied to.
    pub(super) path: Vec<u8>,
    /// Those of earlier attempts.
    earlier: Vec<Vec<u8>>,
}

impl Stage {
    /// Sixteen digits of its name are such that nobody on the other side guesses them, who could put something in the way.
    pub(super) fn new(root: &Beneath, stages: &mut Vec<Vec<u8>>) -> Result<Self, CopyError> {
        let mut token = [0; 8];
        let failed = |_| CopyError::here("random numbers")(io::Error::other("there are none"));
        SystemRandom::new().fill(&mut token).map_err(failed)?;
        let token = format!("{:016x}", u64::from_le_bytes(token));
        let begin = [b"./", part_begin(root.divided().1).as_slice()].concat();
        let path = [&begin, b".".as_slice(), token.as_bytes(), b".os-parts"].concat();
        let earlier = stages.clone();
        stages.push(path.clone());
        Ok(Self {
            begin,
            path,
            earlier,
        })
    }

    /// Removes those of earlier attempts, and of runs that were cut for good: none is used for an hour.
    pub(super) fn clear(&self, script: &mut Script) {
        script.each("rm -rf", self.earlier.iter().cloned(), "");
        script.text("for o in ").word(&self.begin).text(
            ".????????????????.os-parts; do [ -z \"$(find \"$o\" -maxdepth 0 -mmin +60 2>/dev/null)\" ] || rm -rf \"$o\"; done\n",
        );
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn each_attempt_has_its_own_and_removes_what_is_left_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let root = Beneath::parse(b"it's").unwrap();
        let mut stages = Vec::new();
        let first = Stage::new(&root, &mut stages).unwrap();
        let second = Stage::new(&root, &mut stages).unwrap();
        assert_ne!(first.path, second.path);
        let own = std::str::from_utf8(&second.path).unwrap();
        let names = [
            std::str::from_utf8(&first.path).unwrap(),
            own,
            "./.it's.0123456789abcdef.os-parts",
            "./.it's.fedcba9876543210.os-parts",
        ];
        for name in names {
            fs_err::create_dir(folder.path().join(name)).unwrap();
        }
        let mut script = Script::new();
        script
            .text("touch -d '2 hours ago' ")
            .word(names[2].as_bytes())
            .text("\n");
        second.clear(&mut script);
        let script = String::from_utf8(script.done()).unwrap();
        let ran = Command::new("sh")
            .args(["-c", &script])
            .current_dir(folder.path())
            .status();
        assert!(ran.unwrap().success());
        let is_there = names.map(|name| folder.path().join(name).exists());
        assert_eq!(is_there, [false, true, false, true]);
    }
}
