# A device announces itself; looking names up is dnsmasq's, and link-local addresses are NetworkManager's.
RRECOMMENDS:${PN}:remove:os = "avahi-libnss-mdns"
RRECOMMENDS:${PN}-daemon:remove:os = "avahi-libnss-mdns"
