#!/bin/sh
# Writes the load of the device into a file on the volume, every INTERVAL seconds.

interval=${INTERVAL:-5}
file=/data/measurements.csv

# A small page for the other service; port 8080 is not published, so only services of this project reach it.
mkdir -p /srv/state
httpd -f -p 8080 -h /srv/state &
server=$!

# A container is stopped with the signal TERM. Whoever does not react is killed after ten seconds: so react.
trap 'echo "stopping"; kill "$server" "$pause" 2>/dev/null; exit 0' TERM INT

echo "measuring every $interval seconds"
while true; do
    load=$(cut -d ' ' -f 1 /proc/loadavg)
    echo "$(date -u +%FT%TZ),$load" >>"$file"
    count=$(wc -l <"$file")
    echo "measurement $count: load $load" | tee /srv/state/state.txt

    # Sleeping in the background lets the signal through at once.
    sleep "$interval" &
    pause=$!
    wait "$pause"
done
