//! What a device's shell is told, in words that dash, bash and busybox have in common.
//!
//! Every path stands in single quotes, and begins with a slash or a dot, so that it is no option.

use super::{
    item::{Beneath, Item, Kind, part_name},
    plan::LARGE,
};

/// Bytes of arguments that a program is given at once.
const ARGUMENTS: usize = 90 << 10;

/// Bytes of a script for modes and times that is an argument itself, which may have 128 KiB; in digits, a byte is five.
const DRESSED: usize = 16 << 10;

/// What ends what a device's programs said, and begins what they are asked for.
pub(super) const MARK: &[u8] = b"\n--os-cp--\n";

/// Begins all of them: messages in English, files for the owner alone until their modes are set.
const BEGIN: &str = "LC_ALL=C; export LC_ALL; umask 077\n";

/// Says where something really is, with what ends no path after it.
const AT: &str = "at() { a=$(\"$@\"; echo .); printf '%s\\0' \"${a%??}\"; }\n";

/// Moves `$1` to `$2`, which is then `$3`, if that is another name. A file that is a mount of its own, as those that an engine gives to containers are, keeps its place:
/// it is written to.
pub(super) const PUT: &str = r#"put() { f=${3:-$2}; m=$(mv -f "$1" "$2" 2>&1) && return
case $m in *busy) if [ -f "$f" ] && [ ! -h "$f" ] && t=$(stat -c %a "$1") && chmod "$t" "$f" && { [ -w "$f" ] || chmod u+w "$f"; } &&
cat "$1" >|"$f" && chmod "$t" "$f" && touch -r "$1" "$f" && { sync "$f" 2>/dev/null || sync; } && rm -f "$1"; then return 0; fi; esac
printf '%s\n' "$m" >&2; return 1; }
"#;

/// A word that a shell takes as it is.
pub(super) fn quoted(word: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(word.len() + 2);
    out.push(b'\'');
    for &byte in word {
        match byte {
            b'\'' => out.extend(br"'\''"),
            byte => out.push(byte),
        }
    }
    out.push(b'\'');
    out
}

/// A script that is written piece by piece.
#[derive(Debug)]
pub(super) struct Script(Vec<u8>);

impl Script {
    pub(super) fn new() -> Self {
        Self(BEGIN.as_bytes().to_vec())
    }

    /// Words of a shell.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.0.extend(text.as_bytes());
        self
    }

    /// One argument.
    pub(super) fn word(&mut self, word: &[u8]) -> &mut Self {
        self.0.extend(quoted(word));
        self
    }

    /// A variable.
    pub(super) fn set(&mut self, name: &str, value: &[u8]) -> &mut Self {
        self.text(name).text("=").word(value).text("\n")
    }

    /// A command with as many arguments as it takes at once, as often as is needed.
    pub(super) fn each(
        &mut self,
        before: &str,
        words: impl IntoIterator<Item = Vec<u8>>,
        after: &str,
    ) -> &mut Self {
        let mut length = 0;
        for word in words {
            if length > 0 && length + word.len() > ARGUMENTS {
                self.text(after).text("\n");
                length = 0;
            }
            if length == 0 {
                self.text(before);
            }
            length += word.len() + 8;
            self.text(" ").word(&word);
        }
        if length > 0 {
            self.text(after).text("\n");
        }
        self
    }

    pub(super) fn done(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

/// A script as an engine takes one, which is text: names of other bytes are written in digits.
pub(super) fn as_text(script: Vec<u8>) -> String {
    String::from_utf8(script).unwrap_or_else(|error| {
        let digits = error.as_bytes().iter().map(|&byte| match byte {
            b'\'' | b'\\' | 0x80.. => format!("\\0{byte:03o}"),
            byte => char::from(byte).to_string(),
        });
        format!("eval \"$(printf %b '{}')\"", digits.collect::<String>())
    })
}

/// Lists what is copied from a device: `d` or `f` and its time in seconds, or `n`, in a line, where it really is up to a zero byte, then as [`listing`](super::listing)
/// reads it.
pub(super) fn list(path: &[u8]) -> Vec<u8> {
    // A file that goes away between both leaves a line out: then each is asked for by itself.
    const ALL: &str = r#"printf "%s\0" "$@"; printf "\0"
if s=$(stat -c "%f %s %Y" -- "$@" 2>/dev/null); then printf "%s\n" "$s"
else for p do stat -c "%f %s %Y" -- "$p" 2>/dev/null || echo -; done; fi"#;
    const LINKS: &str = r#"for p do printf "%s\0" "$p"; readlink -n -- "$p"; printf "\0"; done"#;
    let mut script = Script::new();
    script
        .set("p", path)
        .text(AT)
        .text("if [ -d \"$p\" ]; then cd \"$p\" || exit 1; echo \"d $(date +%s)\"; at pwd -P\n find . -exec sh -c ");
    script
        .word(ALL.as_bytes())
        .text(" sh {} +\n r=$?; printf '\\0'; find . -type l -exec sh -c ");
    script.word(LINKS.as_bytes()).text(
        " sh {} +; exit $r\n\
         elif [ -e \"$p\" ]; then echo \"f $(date +%s)\"; at readlink -f \"$p\"; stat -L -c '%f %s %Y' \"$p\"\n\
         else echo n; fi\n",
    );
    script.done()
}

/// Looks at what there is of items below the path that a copy goes to: `d`, `f`, `n` or `x` in a line, where it really is up to a
/// zero byte, then as [`found`](super::found) reads it. `paths` are asked for in a folder only.
pub(super) fn survey(path: &[u8], parent: &[u8], paths: &[Vec<u8>]) -> Vec<u8> {
    let mut script = Script::new();
    script
        .set("p", path)
        .set("u", parent)
        .text(AT)
        .text("if [ -d \"$p\" ]; then cd \"$p\" || exit 1; echo d; at pwd -P\n");
    stat(&mut script, paths);
    script.text(
        "elif [ -e \"$p\" ]; then echo f; at readlink -f \"$p\"; stat -L -c '%f %s %Y' \"$p\"\n\
         elif [ -d \"$u\" ]; then echo n; cd \"$u\" && at pwd -P\n\
         else echo x; fi\nexit 0\n",
    );
    script.done()
}

/// Asks for each of these; what is not there leaves its line out.
pub(super) fn stat(script: &mut Script, paths: &[Vec<u8>]) {
    let (odd, plain): (Vec<_>, Vec<_>) = paths.iter().partition(|path| path.contains(&b'\n'));
    let plain = plain.into_iter().cloned();
    script.each("stat -c '%f %s %Y %n'", plain, " 2>/dev/null");
    script.text("printf '\\0'\n");
    for path in odd {
        script
            .text("stat -c '%f %s %Y' ")
            .word(path)
            .text(" 2>/dev/null || echo -\n");
    }
}

/// The paths that are asked for about items whose root is called `root` in a folder: themselves, and the parts of the large ones.
pub(super) fn surveyed(root: &Beneath, items: &[Item]) -> Vec<Vec<u8>> {
    let mut paths = Vec::with_capacity(items.len());
    for item in items {
        paths.push(root.join(&item.path).dotted());
        if let Some(part) = part_of(root, item) {
            paths.push(part);
        }
    }
    paths
}

/// Where the part of a large file is.
pub(super) fn part_of(root: &Beneath, item: &Item) -> Option<Vec<u8>> {
    match item.kind {
        Kind::File(size) if size >= LARGE => {
            let at = root.join(&item.path);
            let (folder, name) = at.divided();
            let part = part_name(name, size, item.mtime);
            Some([folder.dotted(), b"/".to_vec(), part].concat())
        }
        _ => None,
    }
}

/// Sets modes and times, all of which are of one folder and what is below it.
pub(super) fn dress<'a>(base: &[u8], items: impl Iterator<Item = (Vec<u8>, &'a Item)>) -> Vec<u8> {
    let mut script = Script::new();
    script.text("cd ").word(base).text(" || exit 1\ne=0\n");
    let mut by_mode = std::collections::BTreeMap::<u32, Vec<Vec<u8>>>::new();
    let mut times = Vec::new();
    for (path, item) in items {
        by_mode.entry(item.mode).or_default().push(path.clone());
        times.push((path, item.mtime));
    }
    // Deepest first: a folder that is closed lets nobody in to what is below it.
    times.sort_by(|a, b| b.0.cmp(&a.0));
    for (path, mtime) in times {
        script
            .text(&format!("touch -d @{mtime} "))
            .word(&path)
            .text(" || e=1\n");
    }
    for (mode, mut paths) in by_mode {
        paths.sort_by(|a, b| b.cmp(a));
        script.each(&format!("chmod {mode:o}"), paths, " || e=1");
    }
    script.text("exit $e\n");
    script.done()
}

/// The same in pieces, none of which is too long for an argument, whatever an engine needs to have it as text.
pub(super) fn dress_in_pieces<'a>(
    base: &[u8],
    items: impl Iterator<Item = (Vec<u8>, &'a Item)>,
) -> Vec<Vec<u8>> {
    let mut items: Vec<_> = items.collect();
    items.sort_by(|a, b| b.0.cmp(&a.0));
    let mut length = 0;
    let mut pieces = vec![Vec::new()];
    for item in items {
        length += 2 * item.0.len() + 64;
        if length > DRESSED {
            pieces.push(Vec::new());
            length = 2 * item.0.len() + 64;
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push(item);
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    let scripts = pieces
        .into_iter()
        .map(|piece| dress(base, piece.into_iter()));
    scripts.collect()
}

/// Takes a large file from standard input, from a byte on, and gives it its name once it is whole.
pub(super) fn receive(part: &[u8], target: &[u8], item: &Item, from: u64) -> Vec<u8> {
    let mut script = Script::new();
    let (size, mode, mtime) = (item.size(), item.mode, item.mtime);
    script.text(PUT).set("p", part).set("d", target);
    match from {
        // Nothing is written through what somebody has put there meanwhile.
        0 => drop(script.text("set -C; cat >\"$p\" && ")),
        from if from == size => {}
        // At a place and not at the end, where a program of a session that was cut may still write: the same bytes at the same places.
        from => drop(script.text(&format!(
            "{{ [ \"$(stat -c %s \"$p\")\" -ge {from} ] && dd bs=1 seek={from} count=0 </dev/null 2>/dev/null && cat; }} 1<>\"$p\" && "
        ))),
    }
    script.text(&format!("[ \"$(stat -c %s \"$p\")\" = {size} ] && "));
    finish(&mut script, mode, Some(mtime));
    script.done()
}

/// From a part to a file.
pub(super) fn finish(script: &mut Script, mode: u32, mtime: Option<i64>) {
    if let Some(mtime) = mtime {
        script.text(&format!("touch -d @{mtime} \"$p\" && "));
    }
    script.text(
        "{ sync \"$p\" 2>/dev/null || fsync \"$p\" 2>/dev/null || sync; } && \
         { [ ! -h \"$d\" ] || rm -f \"$d\"; } && { [ ! -e \"$d\" ] || [ -f \"$d\" ] || { echo 'what is in its place is no file' >&2; false; }; } && ",
    );
    // What takes the place of a file gets its owner, where we may give it away.
    script.text(
        "{ [ ! -f \"$d\" ] || { [ -O \"$d\" ] && [ -G \"$d\" ]; } || chown \"$(stat -c %u:%g \"$d\")\" \"$p\" 2>/dev/null || :; } && ",
    );
    // At last: one that is gone on with has to be written to.
    script.text(&format!("chmod {mode:o} \"$p\" && put \"$p\" \"$d\"\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_says_anything_to_a_shell() {
        assert_eq!(quoted(b"it's $x"), br"'it'\''s $x'");
        let mut script = Script::new();
        script.each("ls", [b"a".to_vec(), b"$(b)".to_vec()], " || e=1");
        assert!(script.done().ends_with(b"\nls 'a' '$(b)' || e=1\n"));
    }

    #[test]
    fn only_what_is_mounted_is_written_to_in_its_place_and_with_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let run = |says: &str, without: &str| {
            fs_err::write(at("new"), "new").unwrap();
            fs_err::set_permissions(at("new"), PermissionsExt::from_mode(0o600)).unwrap();
            fs_err::write(at("busybox"), "old").unwrap();
            fs_err::set_permissions(at("busybox"), PermissionsExt::from_mode(0o644)).unwrap();
            let script = format!(
                "{PUT}mv() {{ echo \"mv: cannot move 'new' to 'busybox': {says}\" >&2; return 1; }}
                 {without}; put new busybox"
            );
            let mut shell = std::process::Command::new("sh");
            let ran = shell.args(["-c", &script]).current_dir(folder.path());
            let is_well = ran.output().unwrap().status.success();
            let text = fs_err::read_to_string(at("busybox")).unwrap();
            let mode = fs_err::metadata(at("busybox"))
                .unwrap()
                .permissions()
                .mode();
            (is_well, text, mode & 0o777)
        };
        let old = |mode| (false, "old".to_owned(), mode);
        let new = (true, "new".to_owned(), 0o600);
        assert_eq!(run("Device or resource busy", ":"), new);
        assert_eq!(run("Resource busy", ":"), new);
        assert_eq!(run("Operation not permitted", ":"), old(0o644));
        let without = "stat() { return 127; }";
        assert_eq!(run("Resource busy", without), old(0o644));
        let without = "chmod() { return 1; }";
        assert_eq!(run("Resource busy", without), old(0o644));
        let without = "cat() { return 1; }";
        assert!(!run("Resource busy", without).0);
    }

    #[test]
    fn a_script_of_any_bytes_is_one_of_text() {
        assert_eq!(as_text(b"echo 'a'".to_vec()), "echo 'a'");
        let text = as_text(b"printf '%s\\n' '\xff\\ $x'\n".to_vec());
        let ran = std::process::Command::new("sh")
            .args(["-c", &text])
            .output();
        assert_eq!(ran.unwrap().stdout, b"\xff\\ $x\n", "{text}");
    }

    #[test]
    fn modes_of_many_folders_are_set_in_pieces() {
        let items: Vec<Item> = (0..3000)
            .map(|number| Item {
                path: Beneath::parse(format!("a folder {number}").as_bytes()).unwrap(),
                kind: Kind::Folder,
                mode: 0o755,
                mtime: 1_000_000_000,
            })
            .collect();
        let named = items
            .iter()
            .map(|item| ([b"\xff", item.path.bytes()].concat(), item));
        let scripts = dress_in_pieces(b"/base", named);
        let texts: Vec<String> = scripts.into_iter().map(as_text).collect();
        assert!(texts.iter().all(|text| text.len() < 100 << 10));
        let touched: usize = texts.iter().map(|text| text.matches("touch").count()).sum();
        assert_eq!(touched, 3000);
    }

    #[test]
    fn a_part_is_gone_on_with_at_its_place_whatever_is_behind() {
        use std::{
            io::Write as _,
            process::{Command, Stdio},
        };
        let folder = tempfile::tempdir().unwrap();
        let item = Item {
            path: Beneath::default(),
            kind: Kind::File(10),
            mode: 0o400,
            mtime: 1_000_000_000,
        };
        let run = |from: u64, input: &[u8]| {
            let script = receive(b"./part", b"./file", &item, from);
            let mut shell = Command::new("sh")
                .args(["-c", std::str::from_utf8(&script).unwrap()])
                .current_dir(folder.path())
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            // One that refuses reads nothing.
            shell.stdin.take().unwrap().write_all(input).ok();
            shell.wait().unwrap().success()
        };
        let at = |name: &str| folder.path().join(name);
        // What a session that was cut has still written.
        fs_err::write(at("part"), "01234LATE").unwrap();
        assert!(run(5, b"56789"));
        assert_eq!(fs_err::read_to_string(at("file")).unwrap(), "0123456789");
        // Whole already, and not to be written to any more.
        fs_err::rename(at("file"), at("part")).unwrap();
        assert!(run(10, b""));
        // One that has gone does not become one with a hole.
        assert!(!run(5, b"56789"));
        fs_err::remove_file(at("part")).unwrap();
        fs_err::write(at("victim"), "safe").unwrap();
        std::os::unix::fs::symlink("victim", at("part")).unwrap();
        assert!(!run(0, b"0123456789"));
        assert_eq!(fs_err::read_to_string(at("victim")).unwrap(), "safe");
        fs_err::remove_file(at("part")).unwrap();
        assert!(run(0, b"0123456789"));
    }

    #[test]
    fn arguments_are_divided_among_commands() {
        let mut script = Script::new();
        script.each("ls", std::iter::repeat_n(vec![b'x'; 1000], 200), "");
        let text = String::from_utf8(script.done()).unwrap();
        assert_eq!(text.matches("ls '").count(), 3);
        assert_eq!(text.matches(&"x".repeat(1000)).count(), 200);
    }
}
