//! Names, time and connections.

use super::super::config::{Config, NameServers};
use super::super::plan::{Deed, Part};
use super::{OPEN, assignment, part};

/// The reference's: asked beside the network's own servers.
const NAME_SERVER: &str = "8.8.8.8";
/// Path of the cloud's answer to who asks whether there is a way to it.
const CONNECTIVITY: &str = "/connectivity-check";
/// Seconds between two such questions; the reference's.
const INTERVAL: u64 = 3600;

pub(super) fn name_servers(config: &Config) -> Part {
    let servers = match &config.name_servers {
        NameServers::Default => vec![NAME_SERVER.to_owned()],
        NameServers::None => Vec::new(),
        NameServers::These(servers) => servers.clone(),
    };
    let line = |server: &String| format!("server={server}\n");
    let lines: Vec<String> = servers.iter().map(line).collect();
    part("name-servers", "dnsServers")
        .file("run/dnsmasq.servers", OPEN, lines.concat())
        .unit(Deed::Reload, "dnsmasq.service")
}

pub(super) fn time_servers(config: &Config) -> Part {
    let line = |server: &String| format!("pool {server} iburst\n");
    let lines: Vec<String> = config.time_servers.iter().map(line).collect();
    part("time-servers", "ntpServers")
        .file("run/os/chrony/config.sources", OPEN, lines.concat())
        .unit(Deed::Reload, "chrony.service")
}

pub(super) fn country(config: &Config) -> Part {
    part("country", "country")
        .file(
            "run/os/country.env",
            OPEN,
            assignment("COUNTRY", config.country.as_deref()),
        )
        .unit(Deed::Run, "os-country.service")
}

/// What `NetworkManager` asks to know whether there is a way out, and how it looks for wireless networks.
pub(super) fn watch(config: &Config) -> Part {
    let network = &config.network;
    let of_cloud = config.cloud.api_endpoint.as_deref();
    let of_cloud = of_cloud.map(|url| format!("{}{CONNECTIVITY}", url.trim_end_matches('/')));
    let is_of_cloud = network.check_uri.is_none();
    let mut lines = vec!["[connectivity]".to_owned()];
    match network.check_uri.clone().or(of_cloud) {
        Some(uri) => {
            let interval = network.check_interval.unwrap_or(INTERVAL);
            // The cloud answers with nothing, which has to be said.
            let of_cloud = is_of_cloud.then(String::new);
            let response = network.check_response.clone().or(of_cloud);
            lines.extend([
                "enabled=true".to_owned(),
                format!("uri={uri}"),
                format!("interval={interval}"),
            ]);
            lines.extend(response.map(|response| format!("response={response}")));
        }
        // Nobody is asked behind the back of who owns the device.
        None => lines.push("enabled=false".to_owned()),
    }
    if let Some(is_random) = network.random_mac_scan {
        let word = if is_random { "yes" } else { "no" };
        lines.push("\n[device-os]".to_owned());
        lines.push(format!("wifi.scan-rand-mac-address={word}"));
    }
    let text = format!("{}\n", lines.join("\n"));
    part("network", "os.network, apiEndpoint")
        .file("run/NetworkManager/conf.d/os.conf", OPEN, text)
        .unit(Deed::Reload, "NetworkManager.service")
}
