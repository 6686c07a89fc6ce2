//! A door for the fuzz target of request bodies.

use super::{body, local};
use crate::model::Target;

/// What the agent makes of the text of `POST /v2/local/target-state`, or its words about it.
pub fn target_body(text: &str) -> Result<Target, String> {
    let body = body::parse(text).map_err(|body::Unreadable(words)| words)?;
    local::understand(&body, "local")
}
