"""Finding and reaching the API server: in-cluster service account or kubeconfig.

The `kubernetes` library is used for credentials, their refresh and TLS; everything else is
raw JSON (see client.py). It is imported here and nowhere else.
"""

import os

from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config


class ConnectionSettingsError(Exception):
    """There is no usable cluster configuration; the message says what to set."""


async def connect(
    *, kubeconfig: str | None = None, context: str | None = None, user_agent: str
) -> ApiClient:
    """A client library handle with credentials, TLS and a connection pool.

    Order: `kubeconfig` (a path), a service account mounted into the pod, $KUBECONFIG,
    ~/.kube/config. A pod's own service account wins over the environment only when no
    $KUBECONFIG is set.

    Raises:
        ConnectionSettingsError: none of them is there, or the one found is broken.
    """
    configuration = Configuration()
    file = kubeconfig or os.environ.get("KUBECONFIG")
    try:
        if not file and os.environ.get("KUBERNETES_SERVICE_HOST"):
            load_incluster_config(  # type: ignore[no-untyped-call]  # the library has no types
                client_configuration=configuration
            )
        else:
            file = file or os.path.expandvars("$HOME/.kube/config")
            await load_kube_config(  # type: ignore[no-untyped-call]  # the library has no types
                config_file=file,
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )
    except ConfigException as error:
        raise ConnectionSettingsError(f"no usable cluster configuration: {error}") from error
    # As the watches do: no proxy between a cluster's operator and its API server, and no thread
    # that looks for a .netrc before each request.
    configuration.client_session_kwargs = {"trust_env": False}
    # No bound (the library has 100): each watch holds a connection for as long as it lives, and with
    # many namespaces there would be none left for a write.
    configuration.connection_pool_maxsize = 0
    api = ApiClient(configuration)
    api.user_agent = user_agent
    return api
