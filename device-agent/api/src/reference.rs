//! Bodies of the reference device's API, `/v1` and `/v2`.
//!
//! Source: recordings of a reference device, version 19. Struct field order is wire order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version of the reference that our `/v1` and `/v2` answers follow; clients compare it as plain semver.
pub const COMPATIBLE_VERSION: &str = "19.0.5";

/// `{"status":"failed","message":…}`, the error envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Always `failed`.
    pub status: String,
    /// What went wrong.
    pub message: String,
}

/// `GET /v2/version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Always `success`.
    pub status: String,
    /// Plain `X.Y.Z`.
    pub version: String,
}

/// `GET /v2/local/device-info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfoAnswer {
    /// Always `success`.
    pub status: String,
    /// The facts.
    pub info: DeviceInfo,
}

/// Architecture and device type, by their slugs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceInfo {
    /// `aarch64`, `armv7hf`, `rpi`, `amd64` or `i386`.
    pub arch: String,
    /// For example `raspberrypi4-64`.
    pub device_type: String,
}

/// `GET /v2/local/target-state`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetStateAnswer {
    /// Always `success`.
    pub status: String,
    /// The body that may be sent back by POST after `local.apps` was replaced.
    pub state: LocalTargetState,
}

/// The body of `POST /v2/local/target-state`. Not validated: ids may be numbers or numeric strings, values of any type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LocalTargetState {
    /// Overrides update locks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
    /// The target of this device.
    pub local: LocalTarget,
}

/// Name, configuration and applications of one device.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LocalTarget {
    /// Device name; absent keeps the present one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Configuration variables; replaces the stored ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<BTreeMap<String, Value>>,
    /// Applications by id. An absent application is removed from the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apps: Option<Map<String, Value>>,
}

/// `GET /v2/state/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateStatus {
    /// Always `success`.
    pub status: String,
    /// `applying` or `applied`.
    pub app_state: String,
    /// 0..=100 while an image is being pulled.
    pub overall_download_progress: Option<u8>,
    /// One entry a container.
    pub containers: Vec<ContainerStatus>,
    /// One entry an image.
    pub images: Vec<ImageStatus>,
    /// The commit of the release that was reached last; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
}

/// A container in [`StateStatus`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerStatus {
    /// `Running`, `exited`, `Installing`, …
    pub status: String,
    /// Service name.
    pub service_name: String,
    /// Application id.
    pub app_id: u32,
    /// Image id of the target state (not of the engine).
    pub image_id: u32,
    /// Service id of the target state.
    pub service_id: u32,
    /// Engine container id.
    pub container_id: String,
    /// RFC 3339 with milliseconds, UTC.
    pub created_at: String,
}

/// An image in [`StateStatus`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageStatus {
    /// Reference with tag.
    pub name: String,
    /// Application id.
    pub app_id: u32,
    /// Service name.
    pub service_name: String,
    /// Image id of the target state (not of the engine).
    pub image_id: u32,
    /// Engine image id, `sha256:…`.
    pub docker_image_id: String,
    /// `Downloaded` or `Downloading`.
    pub status: String,
    /// 0..=100 while it is being pulled.
    pub download_progress: Option<u8>,
}

/// `GET /v2/containerId` with a service name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerId {
    /// Always `success`.
    pub status: String,
    /// Engine container id.
    pub container_id: String,
}

/// `GET /v2/containerId` without a service name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerIds {
    /// Always `success`.
    pub status: String,
    /// Engine container id by service name.
    pub services: BTreeMap<String, String>,
}
