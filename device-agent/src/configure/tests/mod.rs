mod applied;
mod connections;
mod cut;
mod device;
mod planned;
mod watched;

use device::Device;

const UUID: &str = "0123456789abcdef0123456789abcdef";
