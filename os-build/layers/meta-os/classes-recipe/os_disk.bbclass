# What an image needs for the disk of files/wic/os-disk.wks.in: a root that can boot by itself (kernel and initramfs under
# the names that the boot menu knows), and a folder with what the boot partition holds at first.
#
# Boards say, in conf/machine/include/os-MACHINE.inc:
#
#   OS_PARTITION_TABLE  "gpt" or "msdos"
#   OS_BOOT_FILES       what belongs on the boot partition beside the common files: entries `SOURCE` or `SOURCE;TARGET`,
#                       as IMAGE_BOOT_FILES of wic has them. SOURCE is looked for in DEPLOY_DIR_IMAGE and may be a pattern.
#   OS_BOOT_DEPENDS     the tasks that put them there
#   OS_BOOT_STATE       where the boot loader keeps which root it boots: "grubenv", or "text" for U-Boot

WKS_FILE = "os-disk.wks.in"
WKS_FILE_DEPENDS = "e2fsprogs-native dosfstools-native mtools-native"

OS_BOOT_DEPENDS ??= ""
OS_BOOT_DIR = "${WORKDIR}/boot-partition"
# The firmware looks for a boot partition of its own kind: the type of an EFI system partition, or FAT marked active.
OS_BOOT_PARTITION_TYPE = "${@'--part-type C12A7328-F81F-11D2-BA4B-00A0C93EC93B' \
    if d.getVar('OS_PARTITION_TABLE') == 'gpt' else '--active --system-id 0x0c'}"
# Of an ext4 that boot loaders read too. Used by wic for the slots, and for the root that updates write to one.
OS_ROOT_MKFS = "-i 8192 -O ^metadata_csum_seed,^orphan_file"
# nooelint: oelint.vars.specific
EXTRA_IMAGECMD:ext4 = "${OS_ROOT_MKFS}"
# What device-type.json calls the architecture.
OS_ARCH = "${@{'x86_64': 'amd64', 'aarch64': 'aarch64', 'arm': 'armv7hf'}.get(d.getVar('TARGET_ARCH'), '')}"

# The boot loaders of all boards load these two from the root that they choose.
os_root_boots () {
    cd ${IMAGE_ROOTFS}/boot
    kernel=$(ls -d ${KERNEL_IMAGETYPE}-* | head -n 1)
    [ -n "$kernel" ] || bbfatal "the root has no kernel: /boot/${KERNEL_IMAGETYPE}-*"
    ln -sf "$kernel" vmlinuz
    install -m 0644 ${DEPLOY_DIR_IMAGE}/${INITRAMFS_IMAGE}-${MACHINE}.${INITRAMFS_FSTYPES} initrd.img
}
os_root_boots[doc] = "Gives kernel and initramfs the names that the boot menu knows."
do_rootfs[depends] += "${INITRAMFS_IMAGE}:do_image_complete"

# os_boot_file SOURCE TARGET
os_boot_file () {
    [ -e "$1" ] || bbfatal "${1#${DEPLOY_DIR_IMAGE}/} is missing for the boot partition"
    install -D -m 0644 "$1" "${OS_BOOT_DIR}/$2"
}
os_boot_file[doc] = "Puts one file on the boot partition."

os_boot_partition () {
    if [ -d ${DEPLOY_DIR_IMAGE}/os-boot/common ]; then
        cp -R --no-preserve=ownership ${DEPLOY_DIR_IMAGE}/os-boot/common/. ${OS_BOOT_DIR}/
    fi
    printf '{"slug":"%s","arch":"%s"}\n' '${OS_DEVICE_TYPE}' '${OS_ARCH}' > ${OS_BOOT_DIR}/device-type.json
    # No development mode: what nobody has asked for is not open.
    printf '{"deviceType":"%s","developmentMode":false,"persistentLogging":false}\n' '${OS_DEVICE_TYPE}' \
        > ${OS_BOOT_DIR}/config.json

    set -f
    for entry in $(echo '${OS_BOOT_FILES}' | tr ';' '|'); do
        set +f
        case $entry in
        *\|*) os_boot_file "${DEPLOY_DIR_IMAGE}/${entry%%|*}" "${entry#*|}" ;;
        *)
            for file in ${DEPLOY_DIR_IMAGE}/$entry; do
                os_boot_file "$file" "$(basename "$file")"
            done
            ;;
        esac
    done
    set +f

    case ${OS_BOOT_STATE} in
    grubenv)
        # GRUB's format: a line that says so, the variables, and # up to 1024 bytes.
        printf '# GRUB Environment Block\nresin_root_part=2\nupgrade_available=0\nbootcount=0\n' > ${WORKDIR}/grubenv
        head -c 1024 /dev/zero | tr '\0' '#' | cat ${WORKDIR}/grubenv - | head -c 1024 > ${OS_BOOT_DIR}/EFI/BOOT/grubenv
        ;;
    text)
        printf 'resin_root_part=2\nupgrade_available=0\n' > ${OS_BOOT_DIR}/resinOS_uEnv.txt
        ;;
    *) bbfatal 'OS_BOOT_STATE is neither grubenv nor text' ;;
    esac
}
os_boot_partition[doc] = "Gathers what the boot partition holds at first."
os_boot_partition[cleandirs] = "${OS_BOOT_DIR}"
do_image_wic[prefuncs] += "os_boot_partition"
do_image_wic[depends] += "os-system:do_deploy ${OS_BOOT_DEPENDS}"
