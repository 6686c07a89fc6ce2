use super::*;

// Made by `ssh-keygen` of OpenSSH 9.2, with the fingerprints and the hashed line that it prints.
const FIRST: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdr80tUONdtalLZN0O40gNWmtlDfhc2lDxNn/rAgt73";
const FIRST_FINGERPRINT: &str = "SHA256:qNEZ9MFr4dLCjL4wd0Awo8iUVD4pXDJPDfdkK8G7/YM";
const SECOND: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMc4F6fTjHFxz828eVZGoTM0ccfZgUh4fXFdzEXh9zvV";
const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDHoeGfwbKKS5PhdcTTbdpsElKt9HG/ErbW2MfkU+L5z1ELcXaANzY2BddSYzMb+T/CWvx9f1PmEdCmSJk+s0TOxuwegDDKFaU72FzAOgCFiiaumbS2hpXBsxoWNDP+1/eMP7sdRYP87LIF0zEp0ysGtZFne14MIJfQp0OEW2dRb38xhnFMGhF07o2MlJpDrFNPIMAshliSBISISikcBEkTTzmVoJ9C61HLoY23geEcrYC9UfPNN69Fi+sqPGJpo50KOflNzSC9dZ5pqkNaDlvKJMwnaoY8JOiDG+BOW5BNKzAFek2nrQlG60MNMww7dlQZoQbRHOtWsagaCpuyz93z";
const RSA_FINGERPRINT: &str = "SHA256:HBpjUhMSlMt1VC4DrLOLRFRdaC4bRmw4dOFvSHR/Llk";
const HASHED: &str = "|1|NRou3q3TL4fwbzKenxF0FMM2qSc=|59guc5VG8jxYqJUZ/AYD5MrPftc= ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdr80tUONdtalLZN0O40gNWmtlDfhc2lDxNn/rAgt73\n";
const UUID: &str = "5eee0e70cea05eee0e70cea05eee0e70";

fn key(words: &str) -> HostKey {
    let (algorithm, base64) = words.split_once(' ').unwrap();
    HostKey::from_words(algorithm, base64).unwrap()
}

fn device() -> HostName {
    HostName::device(UUID).unwrap()
}

fn judge(text: &str, host: &HostName, words: &str) -> Verdict {
    KnownHosts::parse(text).judge(host, &key(words))
}

#[test]
fn fingerprints_are_those_that_openssh_prints() {
    assert_eq!(key(FIRST).fingerprint(), FIRST_FINGERPRINT);
    assert_eq!(key(RSA).fingerprint(), RSA_FINGERPRINT);
    assert_eq!(key(FIRST).algorithm(), "ssh-ed25519");
    assert_eq!(key(FIRST).to_string(), FIRST);
}

#[test]
fn a_key_is_known_new_changed_or_revoked() {
    assert_eq!(judge("", &device(), FIRST), Verdict::New);
    let text = format!("# words\n\n{UUID} {FIRST} a comment\n");
    assert_eq!(judge(&text, &device(), FIRST), Verdict::Known);
    let Verdict::Changed { stored } = judge(&text, &device(), SECOND) else {
        panic!("another key");
    };
    assert_eq!(
        stored,
        [Pinned {
            key: key(FIRST),
            line: 3
        }]
    );
    // Who shows a key of another kind than the known one cannot be told from somebody else.
    assert!(matches!(
        judge(&text, &device(), RSA),
        Verdict::Changed { .. }
    ));
    let both = format!("{text}{UUID} {RSA}\n");
    assert_eq!(judge(&both, &device(), RSA), Verdict::Known);
    assert_eq!(
        KnownHosts::parse(&both).algorithms(&device()),
        ["ssh-ed25519", "ssh-rsa"]
    );
    let revoked = format!("{text}@revoked * {FIRST}\n");
    assert_eq!(
        judge(&revoked, &device(), FIRST),
        Verdict::Revoked { line: 4 }
    );
}

#[test]
fn names_are_lists_patterns_and_hashes() {
    let other = HostName::host("10.0.0.1", 2222).unwrap();
    let text = format!("x,!y,[10.0.0.*]:2222 {FIRST}\n");
    assert_eq!(judge(&text, &other, FIRST), Verdict::Known);
    assert_eq!(
        judge(&text, &HostName::host("10.0.0.1", 22).unwrap(), FIRST),
        Verdict::New
    );
    assert_eq!(
        judge(&text, &HostName::host("y", 22).unwrap(), FIRST),
        Verdict::New
    );
    assert_eq!(judge(HASHED, &device(), FIRST), Verdict::Known);
    assert_eq!(
        judge(HASHED, &HostName::device("5eef").unwrap(), FIRST),
        Verdict::New
    );
    // An authority's line is no key of a host.
    assert_eq!(
        judge(&format!("@cert-authority * {FIRST}\n"), &device(), FIRST),
        Verdict::New
    );
}

#[test]
fn lines_that_cannot_be_read_say_nothing() {
    for text in [
        UUID.to_owned(),
        format!("{UUID} ssh-ed25519"),
        format!("{UUID} ssh-ed25519 AAAA"),
        format!("{UUID} ssh-rsa {}", FIRST.split_once(' ').unwrap().1),
        format!("|1|x|y {FIRST}"),
        format!("|2|AAAA|AAAA {FIRST}"),
        format!("@unknown {UUID} {FIRST}"),
    ] {
        assert_eq!(judge(&text, &device(), FIRST), Verdict::New, "{text}");
    }
}

#[test]
fn names_that_would_mean_others_are_refused() {
    for wrong in [
        "", "a b", "a,b", "*", "!a", "|1|a|b", "#a", "@a", "[a]:1", "a\nb",
    ] {
        assert!(HostName::device(wrong).is_err(), "{wrong}");
        assert!(HostName::host(wrong, 1).is_err(), "{wrong}");
    }
    assert_eq!(
        HostName::host("fe80::1%eth0", 22222).unwrap().as_str(),
        "[fe80::1%eth0]:22222"
    );
    assert_eq!(HostName::host("a", 22).unwrap().as_str(), "a");
}

#[test]
fn a_pin_is_kept_for_the_owner_alone_and_forgotten_without_a_trace() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path().join("ssh/known_hosts"));
    assert_eq!(
        store.load().unwrap().judge(&device(), &key(FIRST)),
        Verdict::New
    );
    assert_eq!(store.forget(&device()).unwrap(), []);
    assert_eq!(store.pin(&device(), &key(FIRST)).unwrap(), Verdict::Known);
    let mode =
        |path: &std::path::Path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(store.path()), 0o600);
    assert_eq!(mode(store.path().parent().unwrap()), 0o700);
    assert_eq!(
        fs_err::read_to_string(store.path()).unwrap(),
        format!("{UUID} {FIRST}\n")
    );
    // Another key does not take its place.
    assert!(matches!(
        store.pin(&device(), &key(SECOND)).unwrap(),
        Verdict::Changed { .. }
    ));
    // What others wrote stays, also without an end of line.
    let others =
        format!("# mine\n{UUID},x {SECOND}\n{UUID} {FIRST}\n{HASHED}@revoked * {SECOND}\ny {RSA}");
    fs_err::write(store.path(), &others).unwrap();
    let removed = store.forget(&device()).unwrap();
    assert_eq!(removed.len(), 2);
    let left = format!("# mine\n{UUID},x {SECOND}\n@revoked * {SECOND}\ny {RSA}");
    assert_eq!(fs_err::read_to_string(store.path()).unwrap(), left);
    let new = HostName::device("new").unwrap();
    store.pin(&new, &key(FIRST)).unwrap();
    assert_eq!(
        fs_err::read_to_string(store.path()).unwrap(),
        format!("{left}\nnew {FIRST}\n")
    );
    let files = fs_err::read_dir(folder.path().join("ssh")).unwrap();
    let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["known_hosts", "known_hosts.lock"]);
}

#[test]
fn many_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path().join("known_hosts"));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..10 {
                    let host = HostName::device(&format!("d{thread}-{number}")).unwrap();
                    store.pin(&host, &key(FIRST)).unwrap();
                }
            });
        }
    });
    let text = fs_err::read_to_string(store.path()).unwrap();
    assert_eq!(text.lines().count(), 80);
}

#[test]
fn a_file_that_cannot_be_read_is_not_taken_for_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path().join("known_hosts"));
    fs_err::write(store.path(), b"\xff\n").unwrap();
    assert!(store.load().is_err());
    assert!(store.pin(&device(), &key(FIRST)).is_err());
    assert_eq!(fs_err::read(store.path()).unwrap(), b"\xff\n");
}
