#!/bin/sh
# Named by the fleet's OpenVPN configuration: see upscript.sh.
rm -f /run/openvpn/vpn_status/active
