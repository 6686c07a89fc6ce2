# chronyd gives root up for this user, which is compiled in as it is on Debian: the system tree's configuration names none.
PACKAGECONFIG:append:os = " privdrop scfilter"
PACKAGECONFIG_CONFARGS:append:os = " --with-user=_chrony"
USERADD_PARAM:${PN}:os = "--system --no-create-home --home-dir ${localstatedir}/lib/chrony --shell /sbin/nologin \
                          --user-group _chrony"
GROUPADD_PARAM:${PN}:os = ""

# chronyd.service of the system tree starts it, with a configuration and with folders of its own.
SYSTEMD_AUTO_ENABLE:${PN}:os = "disable"
do_install:append:os () {
    rm -f ${D}${sysconfdir}/chrony.conf ${D}${sysconfdir}/tmpfiles.d/chronyd.conf
    rmdir --ignore-fail-on-non-empty ${D}${sysconfdir}/tmpfiles.d
    install -d -m 0750 -o _chrony -g _chrony ${D}${localstatedir}/lib/chrony
}
FILES:${PN}:append:os = " ${localstatedir}/lib/chrony"
