SUMMARY = "The operating system"
DESCRIPTION = "The whole disk of a device: boot partition, two roots of which one is empty, state and data. The root \
               is read-only, and the same for development and production: developmentMode in config.json decides."
SECTION = "base"
LICENSE = "Apache-2.0"

# The password of root is empty, and nothing asks for one: in production no getty runs and sshd takes keys only.
# nooelint: oelint.var.badimagefeature.empty-root-password
IMAGE_FEATURES = "read-only-rootfs empty-root-password splash"
IMAGE_INSTALL = "\
    packagegroup-os-boot \
    packagegroup-os-system \
    packagegroup-os-engine \
    packagegroup-os-network \
    packagegroup-os-hardware \
"

inherit core-image os_disk

# The disk for the first time, and one root for updates.
IMAGE_FSTYPES = "wic.zst wic.bmap ext4.zst"

# A root fills its slot: an update writes the whole slot.
IMAGE_ROOTFS_SIZE = "${@int(d.getVar('OS_ROOT_MIB')) * 1024}"
IMAGE_ROOTFS_MAXSIZE = "${IMAGE_ROOTFS_SIZE}"
IMAGE_ROOTFS_EXTRA_SPACE = "0"
IMAGE_OVERHEAD_FACTOR = "1.0"

ROOTFS_POSTPROCESS_COMMAND += "os_root_boots"
