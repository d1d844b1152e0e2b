"""`modelrunner.dev/v1alpha1`: the custom resources Model and ModelRunner.

Neither kind has a scale subresource. What scales is the Deployment of a Model, by its own
`/scale`: the gateway may then be allowed to wake a model without a right on Models, and the
number of replicas never is a field that Git, an autoscaler and the operator write in turns.
"""

from modelrunner.api.v1alpha1.buckets import AzureSource, GcsSource, S3Source
from modelrunner.api.v1alpha1.common import API_VERSION, GROUP, VERSION, ApiModel, ObjectMeta
from modelrunner.api.v1alpha1.model import (
    LlamaCppConfig,
    Model,
    ModelConfig,
    ModelSpec,
    Warmup,
)
from modelrunner.api.v1alpha1.model_runner import (
    Accelerator,
    Cache,
    Images,
    ModelRunner,
    ModelRunnerSpec,
    Monitoring,
    Scheduling,
)
from modelrunner.api.v1alpha1.pods import (
    EnvVar,
    EnvVarSource,
    PodTemplate,
    PodTemplateMetadata,
    Resources,
    Toleration,
    TopologySpreadConstraint,
)
from modelrunner.api.v1alpha1.scaling import Activation, Limits, Scaling
from modelrunner.api.v1alpha1.sources import (
    ClaimSource,
    HttpSource,
    HuggingFaceSource,
    ModelSource,
    OciSource,
)
from modelrunner.api.v1alpha1.status import (
    ActivationStatus,
    ArtifactStatus,
    Condition,
    ConditionStatus,
    DownloadStatus,
    LimitsStatus,
    ModelRunnerStatus,
    ModelStatus,
    StartupStatus,
)
from modelrunner.api.v1alpha1.values import AccessMode, ConditionType, Engine, Phase, Retention

__all__ = [
    "API_VERSION",
    "GROUP",
    "VERSION",
    "Accelerator",
    "AccessMode",
    "Activation",
    "ActivationStatus",
    "ApiModel",
    "ArtifactStatus",
    "AzureSource",
    "Cache",
    "ClaimSource",
    "Condition",
    "ConditionStatus",
    "ConditionType",
    "DownloadStatus",
    "Engine",
    "EnvVar",
    "EnvVarSource",
    "GcsSource",
    "HttpSource",
    "HuggingFaceSource",
    "Images",
    "Limits",
    "LimitsStatus",
    "LlamaCppConfig",
    "Model",
    "ModelConfig",
    "ModelRunner",
    "ModelRunnerSpec",
    "ModelRunnerStatus",
    "ModelSource",
    "ModelSpec",
    "ModelStatus",
    "Monitoring",
    "ObjectMeta",
    "OciSource",
    "Phase",
    "PodTemplate",
    "PodTemplateMetadata",
    "Resources",
    "Retention",
    "S3Source",
    "Scaling",
    "Scheduling",
    "StartupStatus",
    "Toleration",
    "TopologySpreadConstraint",
    "Warmup",
]
