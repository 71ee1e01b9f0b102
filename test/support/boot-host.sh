#!/bin/bash
# boot-host.sh NAME CGROUP FOLDER starts systemd as the first process of a machine of its own: processes, mounts,
# network, name and cgroups are new, files are an overlay over this machine's that goes with it. FOLDER must be empty.
# Ends when the machine does, and takes it along when it or its parent is killed. Needs root and a kernel with overlayfs.
set -eu
name=$1 cgroup=$2 folder=$3

# A cgroup of its own in every hierarchy: it becomes the root of what the machine sees.
for hierarchy in $([ -e /sys/fs/cgroup/cgroup.controllers ] && echo /sys/fs/cgroup || echo /sys/fs/cgroup/*); do
  mkdir -p "$hierarchy/$cgroup"
  for file in cpuset.cpus cpuset.mems; do
    if [ -e "$hierarchy/tasks" ] && [ -e "$hierarchy/$file" ]; then cat "$hierarchy/$file" >"$hierarchy/$cgroup/$file"; fi
  done
  echo $$ >"$hierarchy/$cgroup/cgroup.procs"
done

boot() {
  name=$1 folder=$2 root=$2/root
  mount -t tmpfs tmpfs "$folder"
  mkdir "$folder/upper" "$folder/work" "$root"
  mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$root"
  mount -t proc proc "$root/proc"
  # Settings of the kernel are the whole machine's, but for those of the network.
  mount --bind "$root/proc/sys" "$root/proc/sys"
  mount -o remount,bind,ro "$root/proc/sys"
  mkdir "$folder/proc"
  mount -t proc proc "$folder/proc"
  mount --bind "$folder/proc/sys/net" "$root/proc/sys/net"
  mount -t sysfs sysfs "$root/sys"
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  else
    mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
    for path in /sys/fs/cgroup/*/; do
      hierarchy=$(basename "$path")
      mkdir "$root/sys/fs/cgroup/$hierarchy"
      case $hierarchy in
        unified) mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified" ;;
        systemd) mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd" ;;
        *) mount -t cgroup -o "$hierarchy" cgroup "$root/sys/fs/cgroup/$hierarchy" ;;
      esac
    done
  fi
  mount -t tmpfs tmpfs "$root/run"
  mount -t tmpfs tmpfs "$root/dev"
  mkdir "$root/dev/pts" "$root/dev/shm"
  mount -t tmpfs tmpfs "$root/dev/shm"
  for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
  done
  mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  # An overlay cannot lie on an overlay: runtimes have their files elsewhere.
  for state in containerd podwire-runtime; do
    mkdir -p "$root/var/lib/$state"
    mount -t tmpfs tmpfs "$root/var/lib/$state"
  done
  for unit in sysctl modules-load remount-fs tmpfiles-setup tmpfiles-setup-dev sysusers udevd udev-trigger timesyncd; do
    ln -sf /dev/null "$root/etc/systemd/system/systemd-$unit.service"
  done
  hostname "$name"
  echo "$name" >"$root/etc/hostname"
  ip link set lo up
  cd "$root"
  mkdir -p mnt/old
  pivot_root . mnt/old
  umount -l /mnt/old
  exec env -i container=podwire PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=basic.target --show-status=0 --log-target=console --log-level=warning
}
export -f boot
exec setpriv --pdeathsig KILL unshare --mount --uts --ipc --net --pid --cgroup --fork --kill-child --propagation private \
  bash -euc 'boot "$@"' boot "$name" "$folder"
