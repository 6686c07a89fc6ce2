//! Whether a file is a script that `NetworkManager`'s dispatcher can run: the kernel finds its interpreter in the first line.
//!
//! In: a file's bytes. Out: the script, or what is wrong with it. Pure.

use thiserror::Error;

use super::{BYTE_ORDER_MARK, MAX_BYTES};

/// Why a file is no script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum NoScript {
    /// Much more than a script.
    #[error("it is larger than 256 KiB")]
    TooLarge,
    /// Nobody knows what would run it.
    #[error("its first line does not name an interpreter, as #!/bin/sh does")]
    NoInterpreter,
    /// The interpreter's name would end with a carriage return.
    #[error("its lines end as on Windows (CR LF): save it with line ends of Unix")]
    LineEnds,
}

/// Reads a script. A byte order mark is no part of it.
pub(crate) fn read(bytes: &[u8]) -> Result<&[u8], NoScript> {
    if bytes.len() > MAX_BYTES {
        return Err(NoScript::TooLarge);
    }
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let first = bytes.split(|byte| *byte == b'\n').next();
    let Some(interpreter) = first.and_then(|line| line.strip_prefix(b"#!")) else {
        return Err(NoScript::NoInterpreter);
    };
    if interpreter.ends_with(b"\r") {
        return Err(NoScript::LineEnds);
    }
    if !interpreter.trim_ascii_start().starts_with(b"/") {
        return Err(NoScript::NoInterpreter);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_names_its_interpreter() {
        let text = b"#!/bin/sh\necho \"$2\"\r\n";
        assert_eq!(read(text), Ok(text.as_slice()));
        assert_eq!(
            read(b"\xEF\xBB\xBF#! /bin/sh"),
            Ok(b"#! /bin/sh".as_slice())
        );
        for none in [
            b"".as_slice(),
            b"echo",
            b"#!",
            b"#!sh\n",
            b"\n#!/bin/sh\n",
            b"\x7fELF",
        ] {
            assert_eq!(read(none), Err(NoScript::NoInterpreter), "{none:?}");
        }
        assert_eq!(read(b"#!/bin/sh\r\necho\r\n"), Err(NoScript::LineEnds));
        assert_eq!(read(&vec![b'#'; MAX_BYTES + 1]), Err(NoScript::TooLarge));
    }
}
