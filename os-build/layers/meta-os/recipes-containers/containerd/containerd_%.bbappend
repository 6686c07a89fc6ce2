# dockerd starts it.
SYSTEMD_AUTO_ENABLE:${PN}:os = "disable"
