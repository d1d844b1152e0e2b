"""The work of a runner pod with llama.cpp."""

from modelrunner.domain.effective import Effective
from modelrunner_protocol.wire import CACHE_MOUNT, Artifact, RunConfig


def run_config(effective: Effective, artifact: Artifact) -> RunConfig:
    """The `RunConfig` of a Model whose weights are complete."""
    return RunConfig(
        model=effective.name,
        namespace=effective.namespace,
        runner=effective.runner,
        engine="llama.cpp",
        weights=weights_path(effective, artifact),
        mode=effective.mode,
        aliases=effective.aliases,
        context_size=effective.context_size,
        runtime_flags=effective.runtime_flags,
        reasoning_budget=effective.reasoning_budget,
        warmup=effective.warmup,
        startup_timeout=effective.startup_timeout,
        drain_timeout=effective.drain_timeout,
    )


def weights_path(effective: Effective, artifact: Artifact) -> str:
    """Where the pod finds the model file: in the cache, or in place on the user's volume."""
    if effective.source.claim is not None:
        return f"{CACHE_MOUNT}/{effective.source.claim.path}"
    return f"{CACHE_MOUNT}/{effective.key}/{artifact.files[0].path}"
