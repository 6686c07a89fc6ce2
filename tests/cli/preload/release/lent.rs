//! An engine of a device that only hands it on.

use bollard::auth::DockerCredentials;
use bollard::query_parameters::{CreateImageOptionsBuilder, ListImagesOptions};
use futures_util::TryStreamExt;
use testkit::{Device, Lan, Registry, Workstation};

use super::super::Image;
use super::{FLEET, TOKEN, cloud, registry};

#[tokio::test]
async fn an_engine_that_is_lent_keeps_what_it_had_of_a_release_and_nothing_else() {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let mut workstation = Workstation::new(Some(&lan));
    let cloud = cloud(&mut workstation, &device.machine);
    workstation.set("OSCLI_TOKEN", TOKEN);
    let (_registry, _) = registry(&cloud, &device.engine, &device.machine).await;
    let client = device.engine.client().await;
    let names = async || {
        let images = client.list_images(None::<ListImagesOptions>).await;
        let images = images.expect("images").into_iter();
        let names = images.flat_map(|image| [image.repo_tags, image.repo_digests].concat());
        let names = names.filter(|name| name.starts_with(Registry::HOST));
        names.collect::<Vec<_>>()
    };
    let image = Image::new(true, "amd64");
    let name = image.name();
    let preload = ["preload", &name, "--fleet", FLEET, "--on", "10.88.7.1"];
    workstation.os(&preload).await.success();
    assert_eq!(names().await, [""; 0]);
    // One that it runs itself.
    let mut running = None;
    cloud.changes(|fleet| {
        let (_, reference, _) = fleet.releases[2].services[1].clone();
        let (there, _) = reference.split_once('@').unwrap();
        let repository = there.strip_prefix(Registry::HOST).unwrap();
        let repository = repository.trim_start_matches('/').to_owned();
        let token = fleet.issuer.token(Registry::HOST, &repository, &["pull"]);
        running = Some((reference, token));
    });
    let (reference, token) = running.unwrap();
    let options = CreateImageOptionsBuilder::default()
        .from_image(&reference)
        .build();
    let credentials = DockerCredentials {
        registrytoken: Some(token),
        ..DockerCredentials::default()
    };
    let pulled = client.create_image(Some(options), None, Some(credentials));
    pulled.try_collect::<Vec<_>>().await.expect("the image");
    workstation.os(&preload).await.success();
    let left = names().await;
    assert!(left.contains(&reference), "{left:?}");
    let (repository, _) = reference.split_once('@').unwrap();
    assert!(
        left.iter().all(|name| name.starts_with(repository)),
        "{left:?}"
    );
}
