"""What an absent field means.

Defaults are here and not in the schema: a default of the API server would be written into the
stored object, where Git does not have it. Durations are Go durations, as a user would write them.
"""

from typing import Final

from modelrunner.api.v1alpha1.values import AccessMode, Engine, Retention
from modelrunner_protocol.wire import Mode

RUNNER: Final = "default"
"""The ModelRunner of a Model without `spec.runner`."""

ENGINE: Final = Engine.AUTO
KEEP_ALIVE: Final = "5m"
"""`keepAlive` where neither the Model nor its ModelRunner has one."""

MIN_REPLICAS: Final = 0
MAX_REPLICAS: Final = 1
"""`scaling.maxReplicas` where neither says, unless minReplicas is more."""

TARGET_CONCURRENCY: Final = 8
MAX_HELD: Final = 100
ACTIVATION_TIMEOUT: Final = "5m"

STARTUP_TIMEOUT: Final = "30m"
DRAIN_TIMEOUT: Final = "2m"
ACCELERATOR_COUNT: Final = 1

CACHE_SIZE_AUTO: Final = "auto"
"""`cache.size` that stands for "as large as the artifact needs"; also the default."""

CACHE_ACCESS_MODE: Final = AccessMode.READ_WRITE_ONCE
CACHE_RETENTION: Final = Retention.RETAIN

SERVICE_MONITOR: Final = True
MONITORING_INTERVAL: Final = "30s"

MODE: Final = Mode.COMPLETION
WARMUP_ENABLED: Final = True
WARMUP_PROMPT: Final = "Hello"
