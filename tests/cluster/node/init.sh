#!/bin/sh
# The first process of the node's pid namespace: its end ends every pod.
set -e
mount --make-rshared /
hostname @NODE@
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/lock
mount --make-rshared /run
# The kubelet keeps its sockets here whatever its flags say.
for place in /var/lib/kubelet /var/lib/cni /var/log; do
  mkdir -p "@FOLDER@$place"
  mount --bind "@FOLDER@$place" "$place"
done
mount --make-rshared /var/lib/kubelet
mkdir -p "@VOLUMES@"
mount --bind "@VOLUMES@" "@VOLUMES@"
mount --make-rshared "@VOLUMES@"
resolv=$(readlink -m /etc/resolv.conf)
case $resolv in # a link to a file that the new /run hides
/run/*) mkdir -p "$(dirname "$resolv")" && : >"$resolv" ;;
esac
mount --bind "@FOLDER@/resolv.conf" "$resolv"
while ! [ -e "@FOLDER@/connected" ]; do sleep 0.02; done
containerd -c "@FOLDER@/containerd.toml" >>"@LOGS@/containerd.log" 2>&1 &
while ! [ -S "@FOLDER@/containerd.sock" ]; do sleep 0.02; done
# Restarted when they end: neither waits for ever for an API server.
keep() {
  name=$1
  shift
  while :; do
    "$@" >>"@LOGS@/$name.log" 2>&1 || echo "$name ended with status $?" >>"@LOGS@/$name.log"
    sleep 1
  done
}
keep kube-proxy kube-proxy --config="@FOLDER@/kube-proxy.json" &
keep kubelet kubelet --config="@FOLDER@/kubelet.json" --kubeconfig="@PKI@/kubelet.kubeconfig" \
  --hostname-override=@NODE@ --node-ip=@NODE_ADDRESS@ &
keep volumes volumes --kubeconfig="@PKI@/admin.kubeconfig" --root="@VOLUMES@" --node=@NODE@ &
wait
