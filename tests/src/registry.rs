//! A real registry, of Debian's package docker-registry, that wants to know who asks.
//!
//! In: the machine of an engine. Out: a [`Registry`] on that machine's loopback, where engines speak plain HTTP. It knows
//! one device: the one of the recordings, with [`KEY`]; or it takes the tokens of a cloud's [`Issuer`].

use std::path::PathBuf;
use std::process::Stdio;

use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::query_parameters::{
    PushImageOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder,
};
use futures_util::TryStreamExt;

use crate::agent::UUID;
use crate::issuer::{self, Issuer};
use crate::namespace::Namespace;
use crate::process::Process;
use crate::until::until;

/// The device's key.
pub const KEY: &str = "registry-test-key";
/// [`KEY`] as bcrypt keeps it, with the least work and a salt of the alphabet.
const KEPT: &str = "$2y$05$abcdefghijklmnopqrstuu8fxqaOh1DJYP1y4IfCZPRFsp11ADPii";

/// A registry. It is stopped and started as a test wants, and keeps what it has.
#[derive(Debug)]
pub struct Registry {
    process: Option<Process>,
    dir: PathBuf,
}

impl Registry {
    /// Where it listens.
    pub const HOST: &'static str = "127.0.0.1:5000";

    /// Starts an empty one and returns when it listens.
    pub async fn start(machine: &Namespace) -> Self {
        let dir = Self::dir(machine);
        let users = format!("d_{UUID}:{KEPT}\n");
        fs_err::write(dir.join("users"), users).expect("the registry's users");
        let knows = format!("htpasswd: {{realm: test, path: {}/users}}", dir.display());
        Self::that_knows(machine, dir, &knows).await
    }

    /// The same for whoever has a token of `issuer` for [`Self::HOST`].
    pub async fn start_with(machine: &Namespace, issuer: &Issuer) -> Self {
        let dir = Self::dir(machine);
        fs_err::write(dir.join("issuer.pem"), issuer.pem()).expect("a certificate");
        let knows = format!(
            "token: {{realm: \"https://{name}/auth/v1/token\", service: \"{}\", issuer: {name}, rootcertbundle: {}/issuer.pem}}",
            Self::HOST,
            dir.display(),
            name = issuer::NAME,
        );
        Self::that_knows(machine, dir, &knows).await
    }

    fn dir(machine: &Namespace) -> PathBuf {
        let dir = machine.dir().join("registry");
        fs_err::create_dir_all(dir.join("data")).expect("the registry's directory");
        dir
    }

    async fn that_knows(machine: &Namespace, dir: PathBuf, whom: &str) -> Self {
        let settings = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {dir}/data}}}}\n\
             http: {{addr: {}}}\nauth: {{{whom}}}\n",
            Self::HOST,
            dir = dir.display()
        );
        fs_err::write(dir.join("settings.yml"), settings).expect("the registry's settings");
        let mut registry = Self { process: None, dir };
        registry.resume(machine).await;
        registry
    }

    /// Starts it (again) and returns when it listens.
    pub async fn resume(&mut self, machine: &Namespace) {
        let mut command = machine.command("docker-registry");
        command.arg("serve").arg(self.dir.join("settings.yml"));
        let process = Process::start("docker-registry", command, &self.dir.join("log")).await;
        until("the registry listens", async || {
            assert!(
                process.ended().is_none(),
                "the registry ended at once:\n{}",
                process.log()
            );
            let mut probe = machine.command("busybox");
            // It ends with the input, which is empty.
            probe.args(["nc", "127.0.0.1", "5000"]).stdin(Stdio::null());
            probe.output().ok()?.status.success().then_some(())
        })
        .await;
        self.process = Some(process);
    }

    /// Kills it.
    pub async fn kill(&mut self) {
        self.process
            .take()
            .expect("a running registry")
            .kill()
            .await;
    }

    /// Gives it an image of an engine, takes that away from the engine, and returns the reference.
    pub async fn take(&self, engine: &Docker, image: &str, repository: &str) -> String {
        let credentials = DockerCredentials {
            username: Some(format!("d_{UUID}")),
            password: Some(KEY.to_owned()),
            ..DockerCredentials::default()
        };
        let (reference, _) = Self::pushed(engine, image, repository, credentials).await;
        reference
    }

    /// The same for one that was started with `issuer`; the reference has the image's digest.
    pub async fn take_for(
        &self,
        issuer: &Issuer,
        engine: &Docker,
        image: &str,
        repository: &str,
    ) -> String {
        let token = issuer.token(Self::HOST, repository, &["pull", "push"]);
        let credentials = DockerCredentials {
            registrytoken: Some(token),
            ..DockerCredentials::default()
        };
        let (_, digest) = Self::pushed(engine, image, repository, credentials).await;
        digest
    }

    /// The image's names by tag and by digest.
    async fn pushed(
        engine: &Docker,
        image: &str,
        repository: &str,
        credentials: DockerCredentials,
    ) -> (String, String) {
        let name = format!("{}/{repository}", Self::HOST);
        let tag = TagImageOptionsBuilder::default()
            .repo(&name)
            .tag("latest")
            .build();
        engine
            .tag_image(image, Some(tag))
            .await
            .expect("a second name");
        let options = PushImageOptionsBuilder::default().tag("latest").build();
        let pushed: Vec<_> = engine
            .push_image(&name, Some(options), Some(credentials))
            .try_collect()
            .await
            .expect("the registry takes the image");
        assert!(
            pushed.iter().all(|message| message.error_detail.is_none()),
            "{pushed:?}"
        );
        let reference = format!("{name}:latest");
        let found = engine.inspect_image(&reference).await.expect("the image");
        let digests = found.repo_digests.unwrap_or_default();
        let own = format!("{name}@");
        let digest = digests.into_iter().find(|digest| digest.starts_with(&own));
        for name in [reference.as_str(), image] {
            engine
                .remove_image(name, None::<RemoveImageOptions>, None)
                .await
                .expect("a name less");
        }
        (reference, digest.expect("its digest"))
    }
}
