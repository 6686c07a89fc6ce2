mod applied;
mod connections;
mod cut;
mod device;
mod planned;

use device::Device;

const UUID: &str = "0123456789abcdef0123456789abcdef";
