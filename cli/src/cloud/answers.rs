//! What answers of a cloud mean: pure. Other programs are told these words, so they must look like what they are.

use serde::Deserialize;

/// Characters of a user name, at most.
const LONGEST_NAME: usize = 64;

#[derive(Deserialize)]
struct Rows {
    d: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    uuid: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Whoami {
    actor_type: String,
    username: Option<String>,
}

/// The uuids in a list of devices; `None` when it is no such list.
#[must_use]
pub fn uuids(body: &[u8]) -> Option<Vec<String>> {
    let rows: Rows = serde_json::from_slice(body).ok()?;
    let uuids: Vec<String> = rows.d.into_iter().map(|row| row.uuid).collect();
    uuids
        .iter()
        .all(|uuid| is_whole_uuid(uuid) && !uuid.bytes().any(|byte| byte.is_ascii_uppercase()))
        .then_some(uuids)
}

/// The name of the user in an answer to who we are, if it is one; `None` when it is no such answer.
#[must_use]
pub fn user(body: &[u8]) -> Option<Option<String>> {
    let whoami: Whoami = serde_json::from_slice(body).ok()?;
    if whoami.actor_type != "user" {
        return Some(None);
    }
    let name = whoami.username?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_name = !name.starts_with('-') && (1..=LONGEST_NAME).contains(&name.len());
    (is_name && name.bytes().all(fits)).then_some(Some(name))
}

/// Whether it is a uuid from its beginning to its end: 32 hex digits, or 62 as old devices have.
#[must_use]
pub fn is_whole_uuid(text: &str) -> bool {
    matches!(text.len(), 32 | 62) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_hex_digits() {
        let uuid = "8f3b8bb7510f4ba0b3a4e0aa042d3713";
        let list = |uuid: &str| format!(r#"{{"d":[{{"id":1,"uuid":"{uuid}"}}]}}"#);
        assert_eq!(uuids(list(uuid).as_bytes()).unwrap(), [uuid]);
        assert!(uuids(br#"{"d":[]}"#).unwrap().is_empty());
        let wrong = [
            "",
            "8f3b8bb",
            "8f3b8bb7510f4ba0b3a4e0aa042d371/",
            "8F3B8BB7510F4BA0B3A4E0AA042D3713",
            "../../../../../../../../etc/x/yz",
        ];
        for uuid in wrong {
            assert_eq!(uuids(list(uuid).as_bytes()), None, "{uuid}");
        }
        assert_eq!(uuids(b"<html>"), None);
    }

    #[test]
    fn only_a_user_has_a_name() {
        let recorded =
            br#"{"id":2,"actorType":"user","actorTypeId":2,"username":"admin","email":"a@x.test"}"#;
        assert_eq!(user(recorded), Some(Some("admin".to_owned())));
        let fleet = br#"{"id":9,"actorType":"application","actorTypeId":1,"slug":"admin/fleet1"}"#;
        assert_eq!(user(fleet), Some(None));
        for name in ["", "-oX", "a b", "a\\u001b"] {
            let text = format!(r#"{{"actorType":"user","username":"{name}"}}"#);
            assert_eq!(user(text.as_bytes()), None, "{name}");
        }
    }
}
