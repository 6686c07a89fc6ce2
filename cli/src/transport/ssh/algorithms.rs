//! Which algorithms are offered to a server.
//!
//! Always with strict key exchange, which a man in the middle cannot cut the beginning of (CVE-2023-48795).

use std::{borrow::Cow, collections::BTreeSet};

use russh::{
    Preferred, cipher, compression, kex,
    keys::{Algorithm, EcdsaCurve, HashAlg},
    mac,
};
use serde::{Deserialize, Serialize};

use super::{
    AlgorithmLists,
    config::{AlgorithmList, Combine},
    pattern,
};

/// How old a server may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Algorithms {
    /// What `ssh-audit` has nothing to say about.
    #[default]
    Modern,
    /// Also what is only good enough for an old server: keys on NIST's curves, SHA-1, AES in CBC mode, groups of 2048 bits.
    WithOld,
}

const ED25519: Algorithm = Algorithm::Ed25519;
const RSA_512: Algorithm = Algorithm::Rsa {
    hash: Some(HashAlg::Sha512),
};
const RSA_256: Algorithm = Algorithm::Rsa {
    hash: Some(HashAlg::Sha256),
};
const RSA_SHA1: Algorithm = Algorithm::Rsa { hash: None };
const P256: Algorithm = Algorithm::Ecdsa {
    curve: EcdsaCurve::NistP256,
};
const P384: Algorithm = Algorithm::Ecdsa {
    curve: EcdsaCurve::NistP384,
};
const P521: Algorithm = Algorithm::Ecdsa {
    curve: EcdsaCurve::NistP521,
};

/// Not algorithms, but what a client says among them.
const EXTENSIONS: [kex::Name; 2] = [
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

impl Algorithms {
    /// Whether signatures with SHA-1 may be made.
    pub(super) fn allow_sha1(self) -> bool {
        self == Self::WithOld
    }

    /// The lists that a server is offered, best first; kinds of keys by which it is known before all others. A person chooses among what is
    /// offered anyway: no list makes a server be spoken to in an old way. The error is a kind of algorithm of which nothing is left.
    pub(super) fn offered(
        self,
        known: &[String],
        lists: &AlgorithmLists,
    ) -> Result<Preferred, &'static str> {
        let mut kex = vec![
            kex::MLKEM768X25519_SHA256,
            kex::CURVE25519,
            kex::CURVE25519_PRE_RFC_8731,
            kex::DH_G16_SHA512,
            kex::DH_G18_SHA512,
        ];
        let mut key = vec![ED25519, RSA_512, RSA_256];
        let mut ciphers = vec![
            cipher::CHACHA20_POLY1305,
            cipher::AES_256_GCM,
            cipher::AES_128_GCM,
            cipher::AES_256_CTR,
            cipher::AES_192_CTR,
            cipher::AES_128_CTR,
        ];
        let mut macs = vec![mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM];
        if self == Self::WithOld {
            kex.extend([
                kex::DH_GEX_SHA256,
                kex::ECDH_SHA2_NISTP256,
                kex::ECDH_SHA2_NISTP384,
                kex::ECDH_SHA2_NISTP521,
                kex::DH_G14_SHA256,
                kex::DH_G14_SHA1,
            ]);
            key.extend([P256, P384, P521, RSA_SHA1]);
            ciphers.extend([
                cipher::AES_256_CBC,
                cipher::AES_192_CBC,
                cipher::AES_128_CBC,
            ]);
            macs.extend([
                mac::HMAC_SHA512,
                mac::HMAC_SHA256,
                mac::HMAC_SHA1_ETM,
                mac::HMAC_SHA1,
            ]);
        }
        let kex = chosen(kex, lists.kex.as_ref(), |kex| kex.as_ref().to_owned());
        let mut kex = kex.ok_or("key exchange")?;
        kex.extend(EXTENSIONS);
        let key = chosen(key, lists.host_keys.as_ref(), ToString::to_string);
        let mut key = key.ok_or("kind of host key")?;
        // A list that only adds or takes away says nothing of the order.
        let has_order =
            |list: &AlgorithmList| matches!(list.how, Combine::Replace | Combine::Prepend);
        if !lists.host_keys.as_ref().is_some_and(has_order) {
            key.sort_by_key(|kind| !known.iter().any(|known| *known == kind_of_key(kind)));
        }
        let ciphers = chosen(ciphers, lists.ciphers.as_ref(), |name| {
            name.as_ref().to_owned()
        });
        let ciphers = ciphers.ok_or("cipher")?;
        let macs = chosen(macs, lists.macs.as_ref(), |name| name.as_ref().to_owned());
        let macs = macs.ok_or("check sum")?;
        Ok(Preferred {
            kex: Cow::Owned(kex),
            key: Cow::Owned(key),
            host_key_certificates: Cow::Borrowed(&[]),
            cipher: Cow::Owned(ciphers),
            mac: Cow::Owned(macs),
            compression: Cow::Borrowed(&[compression::NONE]),
        })
    }
}

/// What a person's list makes of ours; `None` when nothing is left of it.
fn chosen<T: Clone>(
    ours: Vec<T>,
    list: Option<&AlgorithmList>,
    name: impl Fn(&T) -> String,
) -> Option<Vec<T>> {
    let Some(list) = list else { return Some(ours) };
    let is_listed = |one: &T| {
        let name = name(one);
        list.names
            .iter()
            .any(|listed| pattern::matches(&name, listed))
    };
    let in_their_order = || {
        let mut seen = BTreeSet::new();
        let mut named = Vec::new();
        for listed in &list.names {
            let meant = ours
                .iter()
                .filter(|one| pattern::matches(&name(one), listed));
            named.extend(meant.filter(|one| seen.insert(name(one))).cloned());
        }
        named
    };
    let left: Vec<T> = match list.how {
        Combine::Replace => in_their_order(),
        // What would be added is there already, or is too old.
        Combine::Append => ours.clone(),
        Combine::Remove => ours.iter().filter(|one| !is_listed(one)).cloned().collect(),
        Combine::Prepend => {
            let others = ours.iter().filter(|one| !is_listed(one)).cloned();
            in_their_order().into_iter().chain(others).collect()
        }
    };
    (!left.is_empty()).then_some(left)
}

/// Keys of RSA are of one kind, whatever is signed with them.
fn kind_of_key(algorithm: &Algorithm) -> String {
    match algorithm {
        Algorithm::Rsa { .. } => "ssh-rsa".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names<T: AsRef<str>>(list: &[T]) -> Vec<&str> {
        list.iter().map(AsRef::as_ref).collect()
    }

    fn names_of<T: AsRef<str>>(list: &[T]) -> Vec<String> {
        names(list).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn nothing_old_is_offered_unless_it_was_allowed() {
        let is_old = |name: &&str| {
            let parts = ["sha1", "cbc", "nistp", "group14", "exchange", "ssh-rsa"];
            parts.iter().any(|part| name.contains(part)) || name.ends_with("hmac-sha2-256")
        };
        let old = |algorithms: Algorithms| {
            let offered = algorithms.offered(&[], &AlgorithmLists::default()).unwrap();
            let keys: Vec<String> = offered.key.iter().map(ToString::to_string).collect();
            let mut all = names(&offered.kex);
            all.extend(names(&offered.cipher));
            all.extend(names(&offered.mac));
            all.extend(keys.iter().map(String::as_str));
            all.into_iter().filter(is_old).count()
        };
        assert_eq!(old(Algorithms::Modern), 0);
        assert!(old(Algorithms::WithOld) > 10);
    }

    #[test]
    fn the_kind_of_key_that_is_known_is_asked_for_first() {
        let first = |known: &str| {
            let offered = Algorithms::Modern
                .offered(&[known.to_owned()], &AlgorithmLists::default())
                .unwrap();
            offered.key[0].to_string()
        };
        assert_eq!(first("ssh-rsa"), "rsa-sha2-512");
        assert_eq!(first("ssh-dss"), "ssh-ed25519");
    }

    /// The kinds of keys that are asked for, of a server that is known by one of RSA.
    fn kinds(how: Combine, names: &[&str]) -> Vec<String> {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        let lists = AlgorithmLists {
            host_keys: Some(AlgorithmList { how, names }),
            ..AlgorithmLists::default()
        };
        let offered = Algorithms::Modern.offered(&["ssh-rsa".to_owned()], &lists);
        let kinds = offered.unwrap().key;
        kinds.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_known_kind_is_first_where_a_list_says_nothing_of_the_order() {
        let known_first = ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"];
        assert_eq!(kinds(Combine::Append, &["ssh-rsa"]), known_first);
        assert_eq!(kinds(Combine::Remove, &["ssh-dss"]), known_first);
        let named = ["ssh-ed25519", "rsa-sha2-256"];
        assert_eq!(kinds(Combine::Replace, &named), named);
        assert_eq!(kinds(Combine::Prepend, &named)[0], named[0]);
    }

    #[test]
    fn patterns_in_a_list_stand_for_what_they_describe_once() {
        let ours = ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256"];
        assert_eq!(kinds(Combine::Replace, &["ssh-ed*"]), ["ssh-ed25519"]);
        assert_eq!(kinds(Combine::Prepend, &["ssh-ed*"]), ours);
        assert_eq!(
            kinds(Combine::Replace, &["rsa-sha2-256", "rsa-*", "*"]),
            ["rsa-sha2-256", "rsa-sha2-512", "ssh-ed25519"]
        );
    }

    #[test]
    fn a_person_chooses_among_what_is_offered_and_brings_nothing_old_back() {
        let ciphers = |text: &str, algorithms: Algorithms| {
            let (how, names) = match text.split_at(1) {
                ("+", names) => (Combine::Append, names),
                ("-", names) => (Combine::Remove, names),
                ("^", names) => (Combine::Prepend, names),
                _ => (Combine::Replace, text),
            };
            let names = names.split(',').map(str::to_owned).collect();
            let lists = AlgorithmLists {
                ciphers: Some(AlgorithmList { how, names }),
                ..AlgorithmLists::default()
            };
            let offered = algorithms.offered(&[], &lists)?;
            Ok(names_of(&offered.cipher))
        };
        let modern = |text: &str| ciphers(text, Algorithms::Modern);
        assert_eq!(
            modern("aes256-cbc,aes128-ctr,aes256-ctr").unwrap(),
            ["aes128-ctr", "aes256-ctr"]
        );
        assert_eq!(modern("aes256-cbc"), Err("cipher"));
        assert_eq!(modern("-*"), Err("cipher"));
        assert_eq!(modern("-aes*").unwrap(), ["chacha20-poly1305@openssh.com"]);
        assert_eq!(modern("^aes128-ctr").unwrap()[0], "aes128-ctr");
        assert_eq!(modern("^aes128-ctr").unwrap().len(), 6);
        assert!(
            !modern("+aes256-cbc")
                .unwrap()
                .contains(&"aes256-cbc".to_owned())
        );
        let old = ciphers("aes256-cbc", Algorithms::WithOld);
        assert_eq!(old.unwrap(), ["aes256-cbc"]);
    }

    #[test]
    fn strict_key_exchange_is_always_asked_for() {
        for algorithms in [Algorithms::Modern, Algorithms::WithOld] {
            let offered = algorithms.offered(&[], &AlgorithmLists::default()).unwrap();
            assert!(names(&offered.kex).contains(&"kex-strict-c-v00@openssh.com"));
            assert_eq!(names(&offered.kex)[0], "mlkem768x25519-sha256");
        }
    }
}
