# Networks are NetworkManager's, names dnsmasq's, time chrony's; there is neither VT configuration nor hibernation.
PACKAGECONFIG:remove:os = "hibernate machined networkd nss-mymachines nss-resolve resolved timesyncd vconsole"

# Writable places of the read-only root are listed in the system tree, which mounts them.
RDEPENDS:${PN}:remove:os = "volatile-binds"
