# The engine is started by balena.service of the system tree, and starts its containerd itself. The units of the package
# are masked there; nothing shall enable them here.
SYSTEMD_AUTO_ENABLE:${PN}:os = "disable"
