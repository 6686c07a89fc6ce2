SUMMARY = "The device side of os: keeps the services of a target state running"
DESCRIPTION = "The agent of this repository, as it lies there. Cargo is given the crates of Cargo.lock and no network."
SECTION = "base"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

require os-agent-crates.inc

# The whole workspace: Cargo reads the manifests of all its packages, though it compiles only what the agent needs.
# nooelint: oelint.vars.fileextrapaths,oelint.vars.outofcontext
FILESEXTRAPATHS:prepend := "${OS_REPOSITORY}:"
SRC_URI += "\
    file://Cargo.lock \
    file://Cargo.toml \
    file://LICENSE \
    file://cli \
    file://device-agent \
    file://tests \
"
S = "${UNPACKDIR}"

inherit cargo

CARGO_BUILD_FLAGS:append = " --package os-agent --bin os-agent"

do_install () {
    install -D -m 0755 ${B}/target/${CARGO_TARGET_SUBDIR}/os-agent ${D}${bindir}/os-agent
}
