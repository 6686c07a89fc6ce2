# The socket, its unit and both configurations are the system tree's, whose files may not be another package's.
PACKAGECONFIG:os = "hostkey-rsa hostkey-ecdsa hostkey-ed25519"

do_install:append:os () {
    rm -f ${D}${sysconfdir}/ssh/sshd_config_readonly
    rm -f ${D}${systemd_system_unitdir}/sshdgenkeys.service
}
