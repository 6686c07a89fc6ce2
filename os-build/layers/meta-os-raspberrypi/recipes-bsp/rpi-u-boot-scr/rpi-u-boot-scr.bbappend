FILESEXTRAPATHS:prepend:os := "${THISDIR}/files:"
