//! What `!tags` mean.
//!
//! In: a scalar or collection with its tag. Out: its kind and what Compose's own tags ask of a merge. An unknown tag is a
//! mistake: it would promise something that nobody keeps.

use std::borrow::Cow;

use saphyr_parser::{ScalarStyle, Tag};

use super::{Invalid, Kind, MergeTag, Place, Scalar, scalar::kind_of};

/// A word with its tag.
pub(super) fn word(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    at: Place,
) -> Result<(Scalar, MergeTag), Invalid> {
    let plain = style == ScalarStyle::Plain;
    let scalar = |kind| Scalar {
        text: text.to_owned(),
        kind,
    };
    let Some(tag) = tag else {
        let kind = if plain { kind_of(text) } else { Kind::Text };
        return Ok((scalar(kind), MergeTag::Normal));
    };
    if let Some(merge) = merge_tag(tag) {
        let kind = if plain { kind_of(text) } else { Kind::Text };
        return Ok((scalar(kind), merge));
    }
    let wanted = |wrong: bool, what: &str| {
        if wrong {
            Err(Invalid::new(
                at,
                format!("{text:?} is not {what}, as its tag says"),
            ))
        } else {
            Ok(())
        }
    };
    let kind = match core_tag(tag) {
        Some("str") => Kind::Text,
        Some("null") => Kind::Null,
        Some("int") => {
            let kind = kind_of(text);
            wanted(!matches!(kind, Kind::Int(_)), "a whole number")?;
            kind
        }
        Some("float") => {
            let kind = kind_of(text);
            wanted(!matches!(kind, Kind::Int(_) | Kind::Float(_)), "a number")?;
            kind
        }
        Some("bool") => {
            let kind = kind_of(text);
            wanted(!matches!(kind, Kind::Bool(_)), "true or false")?;
            kind
        }
        _ => return Err(unknown_tag(tag, at)),
    };
    Ok((scalar(kind), MergeTag::Normal))
}

/// What the tag of a list or a map asks.
pub(super) fn collection_tag(
    tag: Option<&Cow<'_, Tag>>,
    own: &str,
    at: Place,
) -> Result<MergeTag, Invalid> {
    let Some(tag) = tag else {
        return Ok(MergeTag::Normal);
    };
    if let Some(merge) = merge_tag(tag) {
        return Ok(merge);
    }
    if core_tag(tag) == Some(own) {
        Ok(MergeTag::Normal)
    } else {
        Err(unknown_tag(tag, at))
    }
}

fn merge_tag(tag: &Tag) -> Option<MergeTag> {
    match (tag.handle.as_str(), tag.suffix.as_str()) {
        ("!", "reset") => Some(MergeTag::Reset),
        ("!", "override") => Some(MergeTag::Override),
        _ => None,
    }
}

fn core_tag(tag: &Tag) -> Option<&str> {
    (tag.is_yaml_core_schema() || tag.handle == "!!").then_some(tag.suffix.as_str())
}

fn unknown_tag(tag: &Tag, at: Place) -> Invalid {
    let mut error = Invalid::new(at, format!("the tag {tag} has no meaning here"));
    error.hint = Some("tags are !reset, !override and those of YAML itself (!!str, !!int, !!float, !!bool, !!null)".to_owned());
    error
}
