//! A door for `tests/fuzz/`.

use super::parse;

/// Status and length of a cloud's answer to `CONNECT`; `None` while it has not ended.
///
/// # Errors
/// What is wrong with it.
pub fn connect_reply(input: &[u8]) -> Result<Option<(u16, usize)>, String> {
    match parse(input) {
        Ok(reply) => Ok(reply.map(|reply| (reply.status, reply.length))),
        Err(error) => Err(error.to_string()),
    }
}
