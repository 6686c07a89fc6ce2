# Without this file resolvconf takes note of name servers and never writes them down; the recipe makes it for SysV only.
do_install:append:os () {
    echo 'f /run/${BPN}/enable-updates 0644 root root -' >> ${D}${sysconfdir}/tmpfiles.d/resolvconf.conf
}
