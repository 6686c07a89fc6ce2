#!/bin/sh
# The page. The web server runs this script for every request and sends what it prints.

# Services of one project reach each other by name: no address, no published port.
state=$(wget -q -O - http://worker:8080/state.txt) || state="the worker does not answer"

# The worker writes into the volume, and this service reads from it.
rows=$(tail -n 10 /data/measurements.csv 2>/dev/null | sed 's|^\(.*\),\(.*\)$|<tr><td>\1</td><td>\2</td></tr>|')

cat <<PAGE
Content-Type: text/html; charset=utf-8

<!doctype html>
<html lang="en">
<title>Measurements</title>
<meta http-equiv="refresh" content="5">
<style>
  body { font: 1.1rem/1.5 sans-serif; max-width: 36rem; margin: 4rem auto; padding: 0 1rem }
  td, th { padding: 0 1rem 0 0; text-align: left }
</style>
<h1>Measurements</h1>
<p>Worker: $state</p>
<table>
<tr><th>time</th><th>load</th></tr>
$rows
</table>
</html>
PAGE
