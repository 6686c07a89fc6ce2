# dnsmasq.service of the system tree starts it, where Debian has it.
SYSTEMD_AUTO_ENABLE:${PN}:os = "disable"
PACKAGECONFIG:os = "inotify loop"

do_install:append:os () {
    install -d ${D}${sbindir}
    ln -rs ${D}${bindir}/dnsmasq ${D}${sbindir}/dnsmasq
    rm -rf ${D}${sysconfdir}/systemd/resolved.conf.d
}
