SUMMARY = "What runs before the root is found"
DESCRIPTION = "The initramfs: /init of the system tree finds the root by its label, keeps the machine's identity on the \
               state partition, and hands over."
SECTION = "base"
LICENSE = "Apache-2.0"

PACKAGE_INSTALL = "\
    base-passwd \
    busybox \
    e2fsprogs-e2fsck \
    os-system-initramfs \
    ${OS_INITRAMFS_MODULES} \
"
# Kernel modules without which a board finds no disk: boards name them. Those that a kernel has built in are no packages.
OS_INITRAMFS_MODULES ??= ""

IMAGE_FEATURES = ""
IMAGE_LINGUAS = ""
IMAGE_FSTYPES = "${INITRAMFS_FSTYPES}"
IMAGE_NAME_SUFFIX = ""
# Kernel images come along with modules, and have no business here.
PACKAGE_EXCLUDE = "kernel-image-*"

inherit core-image

IMAGE_ROOTFS_SIZE = "8192"
IMAGE_ROOTFS_EXTRA_SPACE = "0"
