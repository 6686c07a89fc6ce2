# Of the kinds of modems, the one behind Qualcomm's own bus is on no board of ours. Nobody calls it from Vala.
PACKAGECONFIG:os = "mbim qmi systemd"
