//! What an engine's or an agent's words mean and what a person can do about it. Pure.

use agent_api::os::ENGINE_AWAY;

/// Parts of messages in small letters, and what to do. The first that fits is told.
const MEANINGS: [(&[&str], &str); 12] = [
    (
        &[ENGINE_AWAY],
        "look on the device why its engine does not come back: `systemctl status balena docker`",
    ),
    (
        &["holds its update lock", "lockfile exists"],
        "a service asks not to be disturbed: wait until it lets go of its lock, or override it with --force",
    ),
    (
        &[
            "no space left on device",
            "there is room on the engine's disk for",
        ],
        "the device's disk is full: remove images and volumes that it no longer needs",
    ),
    (
        &["unable to apply caps", "operation not permitted: unknown"],
        "the device's engine may not start privileged containers: set `privileged: false` or name the capabilities that the service needs",
    ),
    (
        &["unable to start container process: exec"],
        "the service's command is not in its image: check `command`, `entrypoint` and the Dockerfile",
    ),
    (
        &["exec format error"],
        "an image is for another processor architecture than the device's",
    ),
    (
        &[
            "server misbehaving",
            "no such host",
            "dial tcp: lookup",
            "i/o timeout",
            "network is unreachable",
            "tls handshake timeout",
            "connection refused",
        ],
        "the device cannot reach the image's registry: give the device a network, or put the image into its engine",
    ),
    (
        &[
            "pull access denied",
            "unauthorized",
            "authentication required",
            "denied: requested access",
        ],
        "the image does not exist or needs credentials: see --registry-secrets",
    ),
    (
        &["no matching manifest for"],
        "the image is not made for the device's processor architecture",
    ),
    (
        &["manifest unknown", "manifest for", "not found: manifest"],
        "the image has no such tag",
    ),
    (
        &["port is already allocated", "address already in use"],
        "something else on the device uses this port",
    ),
    (
        &[
            "file not found in build context",
            "no such file or directory\" in build",
            "failed to stat",
            "copy failed",
        ],
        "check the path in the Dockerfile, and that .dockerignore does not leave it out",
    ),
];

/// What to do about a message, where that is known.
#[must_use]
pub fn explain(message: &str) -> Option<&'static str> {
    let message = message.to_lowercase();
    MEANINGS
        .iter()
        .find(|(parts, _)| parts.iter().any(|part| message.contains(part)))
        .map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_in_small_letters_and_shadow_no_other() {
        let parts: Vec<&str> = MEANINGS
            .iter()
            .flat_map(|(parts, _)| *parts)
            .copied()
            .collect();
        for (index, part) in parts.iter().enumerate() {
            assert_eq!(*part, part.to_lowercase());
            let shadow = parts[..index]
                .iter()
                .find(|earlier| part.contains(**earlier));
            assert_eq!(shadow, None, "{part}");
        }
    }

    #[test]
    fn known_messages_are_explained() {
        for (message, word) in [
            (
                "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io on 10.255.255.53:53: read udp 10.88.7.2:41138->10.255.255.53:53: i/o timeout",
                "registry",
            ),
            (
                "pull access denied for nosuch, repository does not exist or may require 'docker login'",
                "credentials",
            ),
            ("write /layer.tar: No space left on device", "full"),
            (
                "COPY failed: file not found in build context or excluded by .dockerignore: stat x: file does not exist",
                ".dockerignore",
            ),
            (
                "OCI runtime create failed: unable to apply caps: operation not permitted: unknown",
                "privileged",
            ),
            (
                "driver failed programming external connectivity: Bind for 0.0.0.0:80 failed: port is already allocated",
                "port",
            ),
            (
                "the engine is away: /run/balena.sock: the engine cannot be used: Connection refused (os error 111)",
                "engine does not come back",
            ),
            (
                "take-locks 1 failed: Lockfile exists for { appId: 1, service: web }",
                "--force",
            ),
            (
                "no matching manifest for linux/arm64 in the manifest list entries",
                "architecture",
            ),
            (
                "standard_init_linux.go:228: exec user process caused: exec format error",
                "architecture",
            ),
        ] {
            let meaning = explain(message).unwrap_or_else(|| panic!("{message}"));
            assert!(meaning.contains(word), "{message}: {meaning}");
        }
        assert_eq!(
            explain("The command '/bin/false' returned a non-zero code: 1"),
            None
        );
    }
}
