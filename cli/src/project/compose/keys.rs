//! Which keys there are, and what becomes of each.
//!
//! In: a key. Out: how it is read, or why it is not. Every key of Compose is here: one that is missing is a typing error
//! and answered with its nearest neighbour.

use serde_json::Value as Json;

use super::{limits, report::Report, typed, words};
use crate::project::yaml::Node;

/// What becomes of a service's key.
#[derive(Clone, Copy)]
pub(super) enum Key {
    /// Goes to the device as this reads it.
    Read(fn(&mut Report, &str, &Node) -> Option<Json>),
    /// As `Read`; devices of old do not know it, so they must be asked first.
    New(fn(&mut Report, &str, &Node) -> Option<Json>),
    /// Has a place of its own in the reader of services.
    Own,
    /// Left out, with a warning that says why.
    Dropped(&'static str),
    /// A mistake, with what to do instead.
    Rejected(&'static str),
}

use Key::{Dropped, New, Own, Read, Rejected};

/// The keys of a service.
pub(super) const SERVICE: &[(&str, Key)] = &[
    ("annotations", New(typed::text_map)),
    ("attach", New(boolean)),
    (
        "blkio_config",
        Rejected("remove it: a device does not limit block I/O per service"),
    ),
    ("build", Own),
    ("cap_add", Read(words::capabilities)),
    ("cap_drop", Read(words::capabilities)),
    ("cgroup", New(text)),
    ("cgroup_parent", Read(text)),
    ("command", Read(typed::command)),
    (
        "configs",
        Rejected("copy the file into the image, or pass its content in environment"),
    ),
    (
        "container_name",
        Dropped("the device names its containers itself"),
    ),
    ("cpu_count", Rejected("use cpus")),
    ("cpu_percent", Rejected("use cpus")),
    ("cpu_period", Rejected("use cpus")),
    ("cpu_quota", Read(words::quota)),
    ("cpu_rt_period", New(limits::microseconds)),
    ("cpu_rt_runtime", New(limits::microseconds)),
    ("cpu_shares", Read(words::shares)),
    ("cpus", Read(cpus)),
    ("cpuset", Read(text)),
    (
        "credential_spec",
        Rejected("remove it: it is for Windows containers only"),
    ),
    ("depends_on", Own),
    (
        "deploy",
        Rejected("use cpus, mem_limit, mem_reservation and restart of the service itself"),
    ),
    ("develop", Rejected("remove it")),
    ("device_cgroup_rules", New(texts)),
    ("devices", Read(limits::devices)),
    ("dns", Read(text_or_texts)),
    ("dns_opt", Read(texts)),
    ("dns_search", Read(text_or_texts)),
    ("domainname", Read(text)),
    ("entrypoint", Read(typed::command)),
    ("env_file", Own),
    ("environment", Own),
    (
        "expose",
        Dropped("it informs only: services of one project reach each other's ports without it"),
    ),
    ("extends", Own),
    (
        "external_links",
        Rejected("services reach each other by name over a common network"),
    ),
    ("extra_hosts", Read(limits::extra_hosts)),
    (
        "gpus",
        Rejected("set the label io.balena.features.gpu: \"1\""),
    ),
    ("group_add", Read(texts)),
    ("healthcheck", Read(limits::healthcheck)),
    ("hostname", Read(text)),
    ("image", Own),
    ("init", Read(boolean)),
    ("ipc", Read(words::ipc)),
    (
        "isolation",
        Rejected("remove it: it is for Windows containers only"),
    ),
    ("label_file", Own),
    ("labels", Own),
    (
        "links",
        Rejected("services reach each other by name; depends_on gives the order of starting"),
    ),
    (
        "logging",
        Rejected("remove it: the device collects the logs; read them with os logs"),
    ),
    ("mac_address", Read(words::mac_address)),
    ("mem_limit", Read(bytes)),
    ("mem_reservation", Read(bytes)),
    ("mem_swappiness", Rejected("remove it")),
    ("memswap_limit", Rejected("use mem_limit")),
    ("models", Rejected("remove it: a device runs no models")),
    ("network_mode", Own),
    ("networks", Own),
    ("oom_kill_disable", Rejected("use oom_score_adj")),
    ("oom_score_adj", Read(limits::oom_score)),
    ("pid", Read(limits::pid)),
    ("pids_limit", Read(limits::pids)),
    (
        "platform",
        Rejected("remove it: images are built and taken for the device's own architecture"),
    ),
    ("ports", Own),
    ("post_start", New(as_it_is)),
    ("pre_stop", New(as_it_is)),
    ("privileged", Read(boolean)),
    ("profiles", Own),
    (
        "provider",
        Rejected("remove it: the device runs containers only"),
    ),
    (
        "pull_policy",
        Rejected("remove it; os push --pull takes newer base images"),
    ),
    ("read_only", Read(boolean)),
    ("restart", Read(limits::restart)),
    ("runtime", Rejected("remove it: a device has one runtime")),
    ("scale", Rejected("remove it: a service is one container")),
    (
        "secrets",
        Rejected(
            "build secrets belong in .balena/secrets, those of a running service in environment",
        ),
    ),
    ("security_opt", Read(limits::security_opt)),
    ("shm_size", Read(bytes)),
    (
        "stdin_open",
        Rejected("remove it: nobody types into a service of a device"),
    ),
    ("stop_grace_period", Read(duration)),
    ("stop_signal", Read(words::signal)),
    (
        "storage_opt",
        Rejected("remove it: the device's storage driver has no such options"),
    ),
    ("sysctls", Read(typed::text_map)),
    ("tmpfs", Own),
    ("tty", Read(boolean)),
    ("ulimits", Read(limits::ulimits)),
    (
        "use_api_socket",
        Rejected("set the label io.balena.features.balena-socket: \"1\""),
    ),
    ("user", Read(text)),
    ("userns_mode", Read(words::user_namespace)),
    ("uts", New(text)),
    (
        "volume_driver",
        Rejected("declare the volume under the top-level volumes"),
    ),
    ("volumes", Own),
    ("volumes_from", New(texts)),
    ("working_dir", Read(text)),
];

/// The key of a service, if there is one of that name.
pub(super) fn service(name: &str) -> Option<Key> {
    SERVICE
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, key)| *key)
}

fn text(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    typed::text(report, path, node).map(Json::from)
}

fn texts(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    typed::texts(report, path, node).map(Json::from)
}

fn text_or_texts(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    typed::text_or_texts(report, path, node).map(Json::from)
}

fn boolean(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    typed::boolean(report, path, node).map(Json::from)
}

fn cpus(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    typed::cpus(report, path, node).map(Json::from)
}

/// Sizes go to the device as decimal text.
fn bytes(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    typed::bytes(report, path, node).map(|bytes| Json::from(bytes.to_string()))
}

fn duration(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    typed::duration(report, path, node).map(Json::from)
}

fn as_it_is(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    typed::list(report, path, node).map(|_| typed::json(node))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_no_doubles() {
        assert!(SERVICE.is_sorted_by(|(a, _), (b, _)| a < b));
    }
}
