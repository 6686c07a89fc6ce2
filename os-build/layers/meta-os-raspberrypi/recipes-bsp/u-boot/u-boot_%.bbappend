FILESEXTRAPATHS:prepend:os := "${THISDIR}/files:"

SRC_URI:append:os:rpi = " file://os.cfg"
