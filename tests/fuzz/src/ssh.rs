//! Files of OpenSSH: a person's configuration, and known hosts; and what is said to a process that keeps a connection.

use std::path::PathBuf;

use os_cli::{
    fuzz,
    transport::ssh::{
        config::{self, File, Proxy, Subject},
        host_keys::{HostKey, HostName, KnownHosts, Verdict, with, without},
    },
};

use super::text::{assert_harmless, texts};

/// A host, a configuration, and the files that `Include 0`, `Include 1`, … mean.
pub(crate) fn ssh_config(input: &[u8]) {
    let texts = texts(input).unwrap_or_default();
    let [host, text, included @ ..] = texts.as_slice() else {
        return;
    };
    let subject = Subject {
        host: (*host).to_owned(),
        local_user: "ann".to_owned(),
        home: PathBuf::from("/home/ann"),
        ..Subject::default()
    };
    let file = |text: &str| File {
        path: PathBuf::from("config"),
        content: text.as_bytes().to_vec(),
    };
    let read = |text: &str| {
        let mut find = |pattern: &str| {
            let number = pattern.parse::<usize>().ok();
            let found = number.and_then(|number| included.get(number));
            Ok(found.map(|text| file(text)).into_iter().collect())
        };
        config::settings(&subject, &file(text), &mut find)
    };
    let Ok((settings, notices)) = read(text) else {
        return;
    };
    assert!(notices.len() <= 100 && settings.identity_files.len() <= 100);
    for notice in &notices {
        assert_harmless(&notice.to_string());
    }
    // What comes first wins, whatever follows.
    if let Ok((first, _)) = read(&format!("Port 5\nUser bob\n{text}")) {
        assert_eq!((first.port, first.user.as_deref()), (Some(5), Some("bob")));
    }
    if let Ok(meant) = config::expanded(&subject, settings, notices) {
        assert_ne!(meant.port, 0);
        if let (Proxy::Command(_), true) =
            (&meant.proxy, subject.host.contains(['$', '`', ';', '\n']))
        {
            panic!("{:?} is put into a command line", subject.host);
        }
    }
}

/// A host, a key as two words, and a file.
pub(crate) fn known_hosts(input: &[u8]) {
    let texts = texts(input).unwrap_or_default();
    let [host, words, text] = texts.as_slice() else {
        return;
    };
    let Ok(host) = HostName::device(host).or_else(|_| HostName::host(host, 22222)) else {
        return;
    };
    let known = KnownHosts::parse(text);
    for pinned in known.pinned(&host) {
        assert!(pinned.key.fingerprint().starts_with("SHA256:"));
        assert_harmless(&pinned.key.to_string());
        assert_ne!(known.judge(&host, &pinned.key), Verdict::New);
    }
    let Some(Ok(key)) = words
        .split_once(' ')
        .map(|(name, base64)| HostKey::from_words(name, base64))
    else {
        return;
    };
    let before = known.judge(&host, &key);
    let (more, verdict) = with(text, &host, &key);
    assert_eq!(more.is_some(), before == Verdict::New);
    let more = more.unwrap_or_else(|| (*text).to_owned());
    assert!(more.starts_with(text));
    assert_eq!(KnownHosts::parse(&more).judge(&host, &key), verdict);
    let (less, removed) = without(&more, &host);
    assert_eq!(less.is_some(), !removed.is_empty());
    let Some(less) = less else {
        return;
    };
    assert_eq!(less.lines().count() + removed.len(), more.lines().count());
    let (nothing, _) = without(&less, &host);
    assert_eq!(nothing, None);
}

/// What comes over the socket of a kept connection.
pub(crate) fn kept_frames(input: &[u8]) {
    let whole = fuzz::kept_frames(input);
    assert!(whole.understood <= whole.count);
    // A frame is what was received, neither more nor less.
    let mut again = whole.sent.clone();
    again.extend(&whole.rest);
    assert!(again == input);
    // What waits for more is never longer than the longest frame.
    assert!(whole.is_invalid || whole.rest.len() < (1 << 20) + 5);
    // Where it is cut makes no difference to what was whole before.
    let half = fuzz::kept_frames(input.get(..input.len() / 2).unwrap_or_default());
    assert!(whole.sent.starts_with(&half.sent));
}
