//! What a cloud's tunnel answers to `CONNECT`: pure.

/// Bytes of the header, at most. The reference has 80.
const LONGEST: usize = 8 << 10;
/// What a header ends with.
const END: &[u8] = b"\r\n\r\n";

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Its status.
    pub(crate) status: u16,
    /// Bytes of its header. What follows is the device's.
    pub(crate) length: usize,
}

/// What can never become an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadReply {
    #[error("it is not HTTP")]
    NotHttp,
    #[error("its header is longer than {LONGEST} bytes")]
    Endless,
}

/// Reads the answer at the beginning of `received`; `None` while its header has not ended.
pub(crate) fn parse(received: &[u8]) -> Result<Option<Reply>, BadReply> {
    let status = status(received)?;
    let within = received.get(..LONGEST).unwrap_or(received);
    let end = within.windows(END.len()).position(|four| four == END);
    match (end, status) {
        (Some(end), Some(status)) => Ok(Some(Reply {
            status,
            length: end + END.len(),
        })),
        (Some(_), None) => Err(BadReply::NotHttp),
        (None, _) if received.len() >= LONGEST => Err(BadReply::Endless),
        (None, _) => Ok(None),
    }
}

/// The status in `HTTP/1.0 200 …`, where `#` stands for a digit; `None` while it is not there yet.
fn status(received: &[u8]) -> Result<Option<u16>, BadReply> {
    const FORM: &[u8] = b"HTTP/1.# ###";
    let mut status = 0;
    let mut seen = received.iter();
    for (index, expected) in FORM.iter().enumerate() {
        let Some(byte) = seen.next() else {
            return Ok(None);
        };
        match expected {
            b'#' if !byte.is_ascii_digit() => return Err(BadReply::NotHttp),
            b'#' if index > 7 => status = status * 10 + u16::from(byte - b'0'),
            b'#' => {}
            _ if byte != expected => return Err(BadReply::NotHttp),
            _ => {}
        }
    }
    match seen.next() {
        None => Ok(None),
        Some(b' ' | b'\r') if status >= 100 => Ok(Some(status)),
        Some(_) => Err(BadReply::NotHttp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &[u8] =
        b"HTTP/1.0 200 Connection Established\r\nProxy-agent: balena-io/node-tunnel (v4.0.8)\r\n\r\nSSH-2.0-fake_device\r\n";

    #[test]
    fn what_follows_the_header_is_not_part_of_it() {
        let reply = parse(RECORDED).unwrap().unwrap();
        assert_eq!(reply.status, 200);
        assert_eq!(
            RECORDED.get(reply.length..).unwrap(),
            b"SSH-2.0-fake_device\r\n"
        );
        for length in 0..reply.length {
            assert_eq!(parse(RECORDED.get(..length).unwrap()), Ok(None), "{length}");
        }
        let short = parse(b"HTTP/1.1 407\r\n\r\n").unwrap().unwrap();
        assert_eq!((short.status, short.length), (407, 16));
    }

    #[test]
    fn what_is_no_answer_is_not_waited_for() {
        for text in [
            "SSH-2.0-x\r\n",
            "H?",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.x 200 OK\r\n\r\n",
            "HTTP/1.0 20 OK\r\n\r\n",
            "HTTP/1.0 2000 OK\r\n\r\n",
            "HTTP/1.0 099 OK\r\n\r\n",
            "HTTP/1.0 -20 OK\r\n\r\n",
        ] {
            assert_eq!(parse(text.as_bytes()), Err(BadReply::NotHttp), "{text}");
        }
        let mut endless = b"HTTP/1.0 200 OK\r\n".to_vec();
        endless.resize(LONGEST - 1, b'x');
        assert_eq!(parse(&endless), Ok(None));
        endless.push(b'x');
        assert_eq!(parse(&endless), Err(BadReply::Endless));
    }
}
