#!/bin/sh
# Named by the fleet's OpenVPN configuration: the agent looks for this file to tell whether the tunnel is up.
mkdir -p /run/openvpn/vpn_status && : >/run/openvpn/vpn_status/active
