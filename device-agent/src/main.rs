//! `os-agent`, the device companion.

fn main() {}
