"""The desired ServiceMonitor of a ModelRunner."""

from typing import Any

from modelrunner.domain import naming
from modelrunner.domain.effective import MonitoringSettings
from modelrunner.render.common import Owner
from modelrunner.render.documents import render
from modelrunner.render.hashing import sealed
from modelrunner_protocol.wire import (
    PORT_NAME,
)


def service_monitor(namespace: str, owner: Owner, settings: MonitoringSettings) -> dict[str, Any]:
    """The ServiceMonitor of a ModelRunner: the Services of all its Models."""
    own = naming.base_labels(naming.COMPONENT_METRICS) | {naming.RUNNER_LABEL: owner.name}
    found = render(
        "servicemonitor",
        name=naming.monitor_name(owner.name),
        namespace=namespace,
        labels=settings.labels | own,
        annotations={},
        owners=[owner.reference(controller=True)],
        selector={
            naming.MANAGED_BY_LABEL: naming.MANAGED_BY,
            naming.RUNNER_LABEL: owner.name,
        },
        interval=settings.interval,
        port_name=PORT_NAME,
    )
    return sealed(found)
