"""Namespaces in which a test may create pods at once."""

import secrets

from tests.cluster.waiting import wait_until
from tests.support.kubeapi import KubeApi


def fresh_namespace(api: KubeApi) -> str:
    """A namespace of its own for a test, whose default service account is there; its name.

    The API server refuses pods before a controller has made that account, and the controllers
    may be busy, or have begun anew a moment ago.
    """
    name = f"t-{secrets.token_hex(5)}"
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    wait_until(
        f"the default service account of {name}",
        lambda: api.get("v1", "ServiceAccount", "default", name) is not None,
        seconds=120,
    )
    return name
