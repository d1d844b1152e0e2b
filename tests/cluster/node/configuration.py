"""The node's configuration files."""

import json
from pathlib import Path
from typing import Final

from tests.cluster.images import PAUSE
from tests.cluster.settings import (
    DNS_SERVICE_ADDRESS,
    HERE,
    NAME,
    NODE,
    NODE_ADDRESS,
    POD_NETWORK,
)

INIT: Final = "init"
"""The program that a node starts with, in its folder."""


def write_files(
    folder: Path, pki: Path, logs: Path, programs: Path, cni: Path, volumes: Path
) -> Path:
    """Write everything the node reads into `folder`; return the program it starts with.

    Args:
        folder: the node's own folder.
        pki: certificates and kubeconfigs.
        logs: where its programs log.
        programs: the built programs.
        cni: the folder of the CNI plugins.
        volumes: the folder in which volumes are made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "cni/10-bridge.conflist", json.dumps(_cni_network()))
    _write(folder / "kubelet.json", json.dumps(_kubelet(folder, pki)))
    _write(folder / "kube-proxy.json", json.dumps(_kube_proxy(pki)))
    # What CoreDNS gets, and a pod with dnsPolicy Default: no server.
    _write(folder / "pod-resolv.conf", "")
    # What containerd asks for a registry's address. Every name is unknown there, at once: a pull
    # of an image that does not exist must not hang in a name server that cannot be reached.
    _write(
        folder / "resolv.conf", f"nameserver {DNS_SERVICE_ADDRESS}\noptions timeout:1 attempts:1\n"
    )
    values = {
        "FOLDER": folder,
        "PKI": pki,
        "LOGS": logs,
        "PROGRAMS": programs,
        "CNI": cni,
        "VOLUMES": volumes,
        "NODE": NODE,
        "NODE_ADDRESS": NODE_ADDRESS,
        "PAUSE": PAUSE,
    }
    for source, target in (("containerd.toml", "containerd.toml"), ("init.sh", INIT)):
        text = (HERE / "node" / source).read_text(encoding="utf-8")
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        _write(folder / target, text)
    (folder / INIT).chmod(0o755)
    return folder / INIT


def _cni_network() -> dict[str, object]:
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": POD_NETWORK}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, portmap]}


def _kubelet(folder: Path, pki: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{NAME}",
        # Without a meaning on cgroup v2, and needed on v1.
        "failCgroupV1": False,
        "failSwapOn": False,
        # Root of a container may lack CAP_SYS_RESOURCE, which a negative value needs.
        "oomScoreAdj": 0,
        "maxOpenFiles": 20000,
        "address": NODE_ADDRESS,
        "healthzBindAddress": NODE_ADDRESS,
        "tlsCertFile": f"{pki}/kubelet-serving.crt",
        "tlsPrivateKeyFile": f"{pki}/kubelet-serving.key",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [DNS_SERVICE_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{folder}/pod-resolv.conf",
        # The default lies in /usr and would be made there.
        "volumePluginDir": f"{folder}/volume-plugins",
        "maxPods": 250,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "serializeImagePulls": False,
        "syncFrequency": "10s",
        "nodeStatusUpdateFrequency": "5s",
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
    }


def _kube_proxy(pki: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": f"{pki}/kube-proxy.kubeconfig"},
        "hostnameOverride": NODE,
        "clusterCIDR": POD_NETWORK,
        "bindAddress": NODE_ADDRESS,
        "metricsBindAddress": f"{NODE_ADDRESS}:10249",
        "healthzBindAddress": f"{NODE_ADDRESS}:10256",
        "oomScoreAdj": 0,
        # nf_conntrack_max cannot be written inside a network namespace.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "nftables": {"minSyncPeriod": "100ms"},
    }


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
