#!/bin/bash
# The first process of a simulated machine: starts sshd, takes in orphans, and on SIGTERM stops the machine in order.
exec < /dev/null >> /var/log/lab.log 2>&1

stop() {
  trap '' TERM
  kill -TERM -1
  for _ in $(seq 50); do
    kill -0 -1 2>/dev/null || break
    sleep 0.1
  done
  exit 0
}
trap stop TERM

/usr/sbin/sshd -f /etc/lab/sshd_config -E /var/log/sshd.log
# Waiting for a child of its own is how a shell takes in those it has adopted.
while :; do
  sleep infinity &
  wait $!
done
