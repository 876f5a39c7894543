#!/bin/bash
# Boots one simulated machine; see machine.ts. Runs in the lab's mount namespace, with what it has to know in LAB_*.
# First as `boot.sh network` in a network namespace of its own, which then makes itself the machine's first process.
set -eu

if [ "$1" = network ]; then
  ip link add eth0 address "$LAB_MAC" type veth peer name "$LAB_LINK" netns "$LAB_CLIENT_PID"
  nsenter --target "$LAB_CLIENT_PID" --net ip link set "$LAB_LINK" master "$LAB_BRIDGE" up
  ip link set lo up
  ip addr add "$LAB_ADDRESS/24" dev eth0
  ip link set eth0 up
  ip route add default via "$LAB_GATEWAY"
  exec unshare --pid --uts --ipc --fork --kill-child bash "$0" machine
fi

hostname "$LAB_NAME"
disk=$LAB_DISK
root=$disk/root
mkdir -p "$disk"/{upper,work,root,home,root-home,tmp}
# What was in /tmp is gone after a boot; everything else stays on the disk.
find "$disk/tmp" -mindepth 1 -delete
mount -t overlay overlay -o "lowerdir=/,upperdir=$disk/upper,workdir=$disk/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o size=16m,mode=755 tmpfs "$root/run"
mount -t tmpfs -o size=16m,mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root"/dev/{pts,shm} "$root/run/sshd"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs -o size=64m,mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for stream in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${stream%%:*}" "$root/dev/${stream##*:}"; done
# On the same disk as everything else, so that it is full when that is.
mount --bind "$disk/tmp" "$root/tmp"
chmod 1777 "$root/tmp"
# Nobody's files of this computer: homes are the machine's own.
mount --bind "$disk/root-home" "$root/root"
chmod 700 "$root/root"
if [ "$LAB_HOME" != /root ]; then
  mkdir -p "$root$LAB_HOME"
  mount --bind "$disk/home" "$root$LAB_HOME"
fi

if [ ! -e "$root/etc/lab/installed" ]; then
  mkdir -p "$root/etc/lab"
  echo "$LAB_NAME" > "$root/etc/hostname"
  printf '127.0.0.1 localhost\n%s %s\n' "$LAB_ADDRESS" "$LAB_NAME" > "$root/etc/hosts"
  sed -i "/^$LAB_USER:/d" "$root/etc/passwd" "$root/etc/shadow" "$root/etc/group"
  echo "$LAB_USER:x:$LAB_UID:$LAB_UID::$LAB_HOME:$LAB_SHELL" >> "$root/etc/passwd"
  echo "$LAB_USER:$LAB_PASSWORD_HASH:19000:0:99999:7:::" >> "$root/etc/shadow"
  echo "$LAB_USER:x:$LAB_UID:" >> "$root/etc/group"
  chown "$LAB_UID:$LAB_UID" "$root$LAB_HOME"
  [ -e "$root/bin/ash" ] || ln -s busybox "$root/bin/ash"
  for program in $LAB_WITHOUT; do
    rm -f "$root"/{usr/local/sbin,usr/local/bin,usr/sbin,usr/bin,sbin,bin}/"$program"
  done
  touch "$root/etc/lab/installed"
fi
cp "$LAB_FILES"/* "$root/etc/lab/"
chmod 600 "$root"/etc/lab/host_*
if [ -n "$LAB_NODE_LINK" ]; then
  mkdir -p "$root/opt/lab"
  touch "$root/opt/lab/node"
  mount --bind "$LAB_NODE_FILE" "$root/opt/lab/node"
  ln -sf "$LAB_NODE_LINK" "$root/usr/local/bin/node"
fi

mkdir "$root/run/host"
cd "$root"
pivot_root . run/host
umount -l run/host
rmdir run/host
exec chroot . /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash /etc/lab/init
