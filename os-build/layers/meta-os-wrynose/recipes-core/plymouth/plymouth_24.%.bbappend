# `initrd` brings a package that needs dracut, which is in none of our layers; our initramfs shows no splash. The theme
# is a script, shows one picture and no text.
PACKAGECONFIG:os = "drm script systemd udev"

# The system tree says which theme.
do_install:append:os () {
    rm -f ${D}${sysconfdir}/plymouth/plymouthd.conf
    rmdir --ignore-fail-on-non-empty ${D}${sysconfdir}/plymouth
}
