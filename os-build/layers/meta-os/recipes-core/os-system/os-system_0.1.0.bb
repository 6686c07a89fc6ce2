SUMMARY = "The system tree: units, configuration, boot menu"
DESCRIPTION = "Runs install.sh of os-build/system, as the builder of the virtual device does: no path can differ \
               between the two."
SECTION = "base"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

# nooelint: oelint.vars.fileextrapaths,oelint.vars.outofcontext
FILESEXTRAPATHS:prepend := "${OS_REPOSITORY}:${OS_REPOSITORY}/os-build:"
SRC_URI = "\
    file://LICENSE \
    file://device-agent/systemd/os-agent.service \
    file://system \
"
S = "${UNPACKDIR}"

inherit deploy useradd

# What runs on it is the same for every board; what is deployed lies where a board's images look for it.
PACKAGE_ARCH = "${MACHINE_ARCH}"

# A read-only root can get no users later. The names are those of the tree's sysusers.d; chrony makes its own.
USERADD_PACKAGES = "${PN}"
USERADD_PARAM:${PN} = "--system --no-create-home --home-dir /run/openvpn --shell /sbin/nologin --user-group openvpn"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install () {
    AGENT_UNIT=${S}/device-agent/systemd/os-agent.service ${S}/system/install.sh ${D}
    install -m 0755 ${S}/system/initramfs/init ${D}/init
}

# The boot menu for the boards that have GRUB, and what the boot partitions of all boards hold.
do_deploy () {
    install -D -m 0644 ${S}/system/boot/grub.cfg ${DEPLOYDIR}/os-boot/grub.cfg
    install -d ${DEPLOYDIR}/os-boot/common
    find ${S}/system/boot -mindepth 1 -maxdepth 1 -type d -exec cp -R {} ${DEPLOYDIR}/os-boot/common/ \;
}
addtask deploy after do_unpack before do_build

PACKAGE_BEFORE_PN = "${PN}-initramfs"
FILES:${PN}-initramfs += "/init"
FILES:${PN} += "/"

RDEPENDS:${PN} = "os-agent"
RDEPENDS:${PN}-initramfs = "busybox e2fsprogs-e2fsck"
