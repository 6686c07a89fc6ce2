//! `os`, the workstation command.

fn main() {}
