"""The real reconcilers, put into the process."""

import time

from modelrunner.domain.effective import OperatorDefaults
from modelrunner.kube.resources import MODEL_RUNNERS, MODELS
from modelrunner.manager.leadership import Parts, Wiring
from modelrunner.reconcilers.index import ArtifactKeys
from modelrunner.reconcilers.model import ModelReconciler
from modelrunner.reconcilers.model_runner import ModelRunnerReconciler
from modelrunner.reconcilers.probe import HttpRunnerProbe


def build(parts: Parts) -> Wiring:
    """Reconcilers of both kinds over one client, cache and recorder."""
    probe = HttpRunnerProbe()
    defaults = OperatorDefaults(
        runner_image=parts.settings.runner_image,
        image_pull_policy=parts.settings.runner_image_pull_policy,
    )
    models = ModelReconciler(
        parts.client,
        parts.store,
        parts.recorder,
        probe,
        defaults=defaults,
        clock=time.time,
        scaled=parts.scaled,
        pulled=parts.pulled,
    )
    runners = ModelRunnerReconciler(parts.client, parts.store, parts.recorder, clock=time.time)
    return Wiring(
        reconcilers={MODELS.kind: models, MODEL_RUNNERS.kind: runners},
        artifact_keys=ArtifactKeys(),
        close=probe.close,
    )
