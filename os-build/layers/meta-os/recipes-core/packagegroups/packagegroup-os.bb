SUMMARY = "What the system consists of"
DESCRIPTION = "The packages of a device, grouped by what they are for. The names that the virtual device's Debian has \
               for them stand in os-build/layers/packages.map, and a test holds the two to each other."
SECTION = "base"
LICENSE = "Apache-2.0"

PACKAGE_ARCH = "${MACHINE_ARCH}"

inherit packagegroup

PACKAGES = "\
    packagegroup-os-boot \
    packagegroup-os-system \
    packagegroup-os-engine \
    packagegroup-os-network \
    packagegroup-os-hardware \
"

# What a root needs to boot by itself.
RDEPENDS:packagegroup-os-boot = "\
    kernel-image \
    kernel-modules \
    packagegroup-core-boot \
"

# The system tree, the agent, and what they call.
RDEPENDS:packagegroup-os-system = "\
    bash \
    curl \
    dbus \
    dosfstools \
    e2fsprogs-e2fsck \
    e2fsprogs-mke2fs \
    e2fsprogs-resize2fs \
    e2fsprogs-tune2fs \
    jq \
    kmod \
    less \
    os-agent \
    os-release \
    os-system \
    plymouth \
    procps \
    systemd \
    udev \
    util-linux \
    zstd \
"

# The container engine. dockerd starts a containerd of its own.
RDEPENDS:packagegroup-os-engine = "\
    docker-moby \
    iptables \
"

# Network, name, time, tunnel and shell.
RDEPENDS:packagegroup-os-network = "\
    avahi-daemon \
    ca-certificates \
    chrony \
    chronyc \
    dnsmasq \
    iproute2 \
    iw \
    modemmanager \
    networkmanager-daemon \
    networkmanager-nmcli \
    networkmanager-wifi \
    networkmanager-wwan \
    nftables \
    openssh-keygen \
    openssh-scp \
    openssh-sftp-server \
    openssh-ssh \
    openssh-sshd \
    openvpn \
    resolvconf \
    wireless-regdb-static \
    wpa-supplicant \
"

# What only real hardware needs. Boards add to it by MACHINE_EXTRA_RRECOMMENDS.
RDEPENDS:packagegroup-os-hardware = "\
    usb-modeswitch \
    usb-modeswitch-data \
"
RRECOMMENDS:packagegroup-os-hardware = "${MACHINE_EXTRA_RRECOMMENDS}"
