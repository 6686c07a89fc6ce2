FILESEXTRAPATHS:prepend:os := "${THISDIR}/files:"

# The applets that /init of the initramfs calls, and that openembedded-core leaves out.
SRC_URI:append:os = " file://initramfs.cfg"
