#!/bin/sh
# The first process of the container. What it prints is what `os logs` shows.

# A device tells its containers who it is through environment variables.
device=${BALENA_DEVICE_UUID:-unknown}
echo "hello from device $device"
echo "$device" >/srv/www/device.txt

# -f stays in the foreground (here: a job of this shell), -v prints one line for every request.
httpd -f -v -p 80 -h /srv/www &
server=$!
echo "answering on port 80"

# A container is stopped with the signal TERM. Whoever does not react is killed after ten seconds: so react.
trap 'echo "stopping"; kill "$server"; exit 0' TERM INT

# `wait` ends when the server does, and a signal interrupts it at once.
wait "$server"
