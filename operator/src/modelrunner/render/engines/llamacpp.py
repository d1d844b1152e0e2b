"""The work of a runner pod with llama.cpp."""

from modelrunner.domain.drafts import Draft
from modelrunner.domain.effective import Effective
from modelrunner_protocol import wire
from modelrunner_protocol.wire import CACHE_MOUNT, DRAFT_MOUNT, Artifact, FileKind, RunConfig


def run_config(effective: Effective, artifact: Artifact, draft: Draft | None = None) -> RunConfig:
    """The `RunConfig` of a Model whose weights, and those of its draft, are complete."""
    return RunConfig(
        model=effective.name,
        namespace=effective.namespace,
        runner=effective.runner,
        engine="llama.cpp",
        weights=weights_path(effective, artifact),
        projector=_beside(effective, artifact, FileKind.PROJECTOR),
        chat_template=_beside(effective, artifact, FileKind.CHAT_TEMPLATE),
        mode=effective.mode,
        aliases=effective.aliases,
        context_size=effective.context_size,
        runtime_flags=effective.runtime_flags,
        reasoning_budget=effective.reasoning_budget,
        draft=_draft(effective, draft),
        warmup=effective.warmup,
        startup_timeout=effective.startup_timeout,
        drain_timeout=effective.drain_timeout,
    )


def weights_path(effective: Effective, artifact: Artifact, mount: str = CACHE_MOUNT) -> str:
    """Where the pod finds the model file: in the cache, or in place on the user's volume."""
    if effective.source.claim is not None:
        return f"{mount}/{effective.source.claim.path}"
    return f"{mount}/{effective.key}/{artifact.files[0].path}"


def _draft(effective: Effective, draft: Draft | None) -> wire.Draft | None:
    settings = effective.speculative
    if settings is None or draft is None:
        return None
    return wire.Draft(
        weights=weights_path(draft.settings, draft.artifact, DRAFT_MOUNT),
        max_tokens=settings.num_tokens,
        min_probability=settings.min_acceptance_rate,
    )


def _beside(effective: Effective, artifact: Artifact, kind: FileKind) -> str:
    """The path of the artifact's first file of a kind that only pulled artifacts have, or ""."""
    found = next((file.path for file in artifact.files if file.kind is kind), "")
    return f"{CACHE_MOUNT}/{effective.key}/{found}" if found else ""
