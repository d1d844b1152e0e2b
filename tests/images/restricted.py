"""How a command of an image is run under a pod's restrictions, without a container runtime."""

from typing import Final

# Runs in mount, process and network namespaces of its own, which take every mount with them.
RESTRICTED: Final = r"""
set -eu
# As in a container without a network: loopback is there, nothing else.
ip link set lo up
buildah='{buildah}'
container=$(eval "$buildah from --pull-never {image}")
trap 'eval "$buildah rm $container" >/dev/null' EXIT
root=$(eval "$buildah mount $container")
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero random urandom; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -o remount,bind,ro "$root"
setpriv --no-new-privs chroot --userspec={user} --groups= "$root" "$@"
"""
