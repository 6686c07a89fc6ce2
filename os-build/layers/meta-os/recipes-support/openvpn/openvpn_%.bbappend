# openvpn.service of the system tree starts it, and only when a fleet has configured it.
SYSTEMD_AUTO_ENABLE:${PN}:os = "disable"
