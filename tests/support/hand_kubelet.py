"""A kubelet played by hand: pods of a control plane without a node run, end and become ready."""

from concurrent.futures import ThreadPoolExecutor

from modelrunner_protocol.codec import encode
from modelrunner_protocol.wire import Outcome
from tests.support.kubeapi import KubeApi, Object, Refused
from tests.support.pod_statuses import ARTIFACT, ended, running

# Nobody listens there, and the refusal comes at once.
_ADDRESS = "127.0.0.9"
_AT_ONCE = 4


class HandKubelet:
    """Moves the pods of one namespace on, one stage a turn. All have one `address`."""

    def __init__(self, api: KubeApi, namespace: str, address: str = _ADDRESS) -> None:
        self._address = address
        self._api = api
        self._namespace = namespace
        self._stages: dict[str, int] = {}

    def turn(self) -> None:
        """Pending → running → ended with a result (a Job's pod) or ready (a runner's)."""
        pods = self._api.list("v1", "Pod", self._namespace)
        moving = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        # Each node has a kubelet of its own: one write need not wait for the other.
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as threads:
            list(threads.map(self._move, moving))

    def _move(self, pod: Object) -> None:
        meta = pod["metadata"]
        component = meta["labels"]["app.kubernetes.io/component"]
        stage = self._stages.get(meta["uid"], 0)
        if stage == 0:
            status = running(component, self._address)
        elif stage == 1 and component == "runner":
            status = running(component, self._address, ready=True)
        elif stage == 1:
            status = ended(component, encode(Outcome(artifact=ARTIFACT)))
        else:
            return
        self._stages[meta["uid"]] = stage + 1
        body: Object = {"apiVersion": "v1", "kind": "Pod", "status": status}
        body["metadata"] = {"name": meta["name"], "namespace": self._namespace}
        try:
            self._api.merge(body, subresource="status")
        except Refused as refused:
            # A Job that has done its work is deleted, and its pod with it.
            if refused.status != 404:
                raise
