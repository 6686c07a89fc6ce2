# Mobile networks by ModemManager, name servers by resolvconf to dnsmasq, and the check of the connection that config.json
# can point elsewhere. TLS by GnuTLS; nothing reads /etc/network/interfaces.
PACKAGECONFIG:append:os = " concheck gnutls libedit modemmanager ppp resolvconf wwan"
PACKAGECONFIG:remove:os = "ifupdown nss readline"
