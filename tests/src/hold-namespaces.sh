# A machine of its own for a test: network, mounts, processes. It lives until standard input ends, which it does even
# when the test is killed; then all its processes are gone, and what they leave outside is removed.
#
# $1: the machine's directory, removed at the end   $2: its control group, likewise
dir=$1 cgroup=$2 unshare --net --mount --pid --fork --kill-child --mount-proc -- tini -s -- sh -c '
    # Its own /run, so that no socket of the host is in sight, and its own /etc, so that engines may write there.
    mount -t tmpfs -o mode=755 tmpfs /run &&
    mkdir -p /run/.etc/upper /run/.etc/work /run/lock &&
    mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/.etc/upper,workdir=/run/.etc/work /etc &&
    rm -f /etc/docker/daemon.json &&
    ip link set lo up &&
    echo ready &&
    cat >/dev/null
    # What is frozen, as paused containers are, cannot be killed.
    find /sys/fs/cgroup -path "*/$cgroup/*" -name freezer.state -exec sh -c "echo THAWED >\"\$1\"" sh {} \;'
rm -rf "$1"
find /sys/fs/cgroup -depth -type d -path "*/$2*" -exec rmdir {} + 2>/dev/null
