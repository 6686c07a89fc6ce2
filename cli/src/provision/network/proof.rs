//! How a device proves its name to a network (802.1X).
//!
//! Source: what `NetworkManager` refuses: each method in `eap` has keys that it wants, and values are words without blanks, commas and
//! capitals.

use super::keyfile::Read;

const SECTION: [&str; 1] = ["802-1x"];
/// How names are proved.
const METHODS: [&str; 9] = [
    "external", "fast", "leap", "md5", "peap", "pwd", "sim", "tls", "ttls",
];
/// Those of them that say within what they protect how the name is proved there.
const PROTECTED: [&str; 2] = ["peap", "ttls"];
/// Those to which a name is nothing, or is in the certificate.
const NAMELESS: [&str; 3] = ["external", "sim", "tls"];
/// What a certificate wants.
const CERTIFICATE: [&str; 2] = ["client-cert", "private-key"];
/// How names are proved within what is protected.
const WITHIN: [(&str, &[&str]); 2] = [
    (
        "phase2-auth",
        &[
            "chap", "gtc", "md5", "mschap", "mschapv2", "otp", "pap", "tls",
        ],
    ),
    ("phase2-autheap", &["gtc", "md5", "mschapv2", "otp", "tls"]),
];

pub(super) fn check(read: &Read) -> Result<(), String> {
    if !read.has(&SECTION) {
        return Ok(());
    }
    let eap = read.get(&SECTION, "eap").unwrap_or_default();
    // One `;` may stand at the end.
    let list: Vec<&str> = eap.strip_suffix(';').unwrap_or(eap).split(';').collect();
    if !list.iter().all(|method| METHODS.contains(method)) {
        let methods = METHODS.join(", ");
        return Err(format!(
            "its eap in [802-1x] is not one of these, or more with `;` between them: {methods}"
        ));
    }
    for (key, known) in WITHIN {
        if read
            .get(&SECTION, key)
            .is_some_and(|value| !known.contains(&value))
        {
            let known = known.join(", ");
            return Err(format!("its {key} in [802-1x] is none of these: {known}"));
        }
    }
    for method in list {
        check_method(read, method)?;
    }
    Ok(())
}

fn check_method(read: &Read, method: &str) -> Result<(), String> {
    let lacks = |key: &str| read.said(&SECTION, key).is_none_or(|said| said.is_empty());
    if !NAMELESS.contains(&method) && lacks("identity") {
        return Err(format!(
            "its eap in [802-1x] has {method}, which wants an identity there"
        ));
    }
    if let Some(key) = CERTIFICATE
        .into_iter()
        .find(|key| method == "tls" && lacks(key))
    {
        return Err(format!(
            "its eap in [802-1x] has tls, which wants a {key} there"
        ));
    }
    let said = WITHIN.iter().filter(|(key, _)| !lacks(key)).count();
    if PROTECTED.contains(&method) && said != 1 {
        return Err(format!(
            "its eap in [802-1x] has {method}, which wants phase2-auth or phase2-autheap there, and not both: phase2-auth=mschapv2 is usual"
        ));
    }
    Ok(())
}
