#!/bin/sh
# The first process of the container. What it prints is what `os logs` shows.

# -f stays in the foreground (here: a job of this shell), -v prints one line for every request.
httpd -f -v -p 80 -h /srv/www &
server=$!
echo "answering on port 80"

# A container is stopped with the signal TERM. Whoever does not react is killed after ten seconds: so react.
trap 'echo "stopping"; kill "$server"; exit 0' TERM INT
wait "$server"
