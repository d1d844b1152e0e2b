"""Where a Model's weights come from."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from modelrunner.api.annotations import Rule, Rules, matches, rules
from modelrunner.api.v1alpha1.buckets import AzureSource, GcsSource, S3Source
from modelrunner.api.v1alpha1.choice import Patterns, Quantization
from modelrunner.api.v1alpha1.common import ApiModel, ObjectName, Period

ONE_SOURCE = (
    "set exactly one source: oci (an artifact in a registry), huggingFace (a repository of the"
    " Hub), s3, gcs or azure (a bucket), http (a URL) or persistentVolumeClaim (a file on a volume"
    " you filled)"
)
CREDENTIALS_FOR_NOTHING = (
    "credentialsSecret holds the credentials of a registry, a token of the Hub or the keys of a"
    " bucket: set it beside oci, huggingFace, s3, gcs or azure, or remove it"
)


REFRESH_IN_PLACE = (
    "the file on a persistentVolumeClaim is used where it lies, so there is nothing to refresh:"
    " remove refresh"
)


class HttpSource(ApiModel):
    """One file behind a URL that needs no credentials."""

    url: Annotated[
        str,
        Field(max_length=2048),
        Rules(
            Rule(
                "isURL(self) && url(self).getScheme() in ['http', 'https']"
                " && url(self).getHostname() != ''",
                "use an http:// or https:// URL with a host, such as "
                '"https://models.example.com/smollm2.gguf"',
            ),
            Rule(
                "!" + matches("^[A-Za-z]+://[^/?#]*@"),
                "the URL holds a user name or password, which everyone who may read Models could "
                "read: remove it and serve the file where no login is needed",
            ),
        ),
    ]
    """The file's address, http:// or https://, without user name and password. Redirects are
    followed to http and https only.
    """

    sha256: (
        Annotated[
            str,
            Field(max_length=128),
            Rules(
                Rule(
                    matches("^[0-9a-f]{64}$"),
                    "use the 64 lower-case hexadecimal digits that sha256sum prints, without a prefix",
                )
            ),
        ]
        | None
    ) = None
    """SHA-256 of the file, 64 lower-case hexadecimal digits. A file with another digest is
    refused as PullFailed. Default: not checked.
    """


_PART = r"[A-Za-z0-9]+((\.|_{1,2}|-+)[A-Za-z0-9]+)*"
_REFERENCE = (
    f"^([A-Za-z0-9.-]+(:[0-9]{{1,5}})?/)?{_PART}(/{_PART})*"
    "(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$"
)


class OciSource(ApiModel):
    """An artifact in a registry, in the layout of Docker, CNCF's ModelPack or Ollama."""

    reference: Annotated[
        str,
        Field(max_length=512),
        Rules(
            Rule(
                matches(_REFERENCE)
                + " && !self.matches('^([0-9a-f]{12}|[0-9a-f]{64}|sha256:[0-9a-f]{64})$')",
                'use a reference such as "ai/smollm2:135M-Q4_0", "registry.example.com/team/model:v1"'
                ' or one that ends in "@sha256:" and 64 hexadecimal digits; no "https://"',
            )
        ),
    ]
    """The artifact's name. Without a registry the Docker Hub is meant, without an organization
    `ai/`, without a tag or digest `:latest`. A tag is followed once, when the weights are looked up,
    and with `refresh` again.
    """

    insecure: bool | None = None
    """Whether the registry is spoken to over plain http, where everybody on the way can read
    credentials. Default: false, https only.
    """


class HuggingFaceSource(ApiModel):
    """A GGUF model in a repository of the Hugging Face Hub, shards and projector included."""

    repository: Annotated[
        str,
        Field(max_length=192),
        Rules(
            Rule(
                matches(r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,95}/[A-Za-z0-9_][A-Za-z0-9._-]{0,95}$"),
                'use owner/name, such as "bartowski/SmolLM2-135M-Instruct-GGUF"; no "https://"',
            )
        ),
    ]
    """The repository, `owner/name`."""

    revision: (
        Annotated[
            str,
            Field(min_length=1, max_length=255),
            Rules(
                Rule(
                    matches("^[A-Za-z0-9][A-Za-z0-9._/-]*$"),
                    "use a branch, a tag or a commit, such as main",
                )
            ),
        ]
        | None
    ) = None
    """A branch, a tag or a commit. It is followed once, when the weights are looked up, and with
    `refresh` again; the commit is in status.artifact.revision. Default: main.
    """

    quantization: Quantization = None
    """Which of the repository's models: the word in the file's name, upper or lower case. Default:
    Q4_K_M, where there is none of these the first.
    """

    files: Patterns = None
    """Patterns of the files that count, such as `Q8_0/*`; `*` stands for any characters. Default:
    all.
    """

    ignored_files: Patterns = None
    """Patterns of the files that do not count, such as `mmproj-*`. Default: none."""


class ClaimSource(ApiModel):
    """A file on a volume that somebody else filled. It is used in place and never written."""

    name: ObjectName
    """Name of the PersistentVolumeClaim, in the Model's namespace."""

    path: Annotated[
        str,
        Field(max_length=1024),
        Rules(
            Rule(
                r"!self.matches(r'(^|/)\.{0,2}(/|$)') && !self.matches(r'[\x00-\x1f\x7f\\]')",
                'use a path below the volume\'s root, such as "smollm2/model.gguf": no leading or '
                'trailing "/", no ".."',
            )
        ),
    ]
    """The model file, relative to the volume's root; of several shards the first. Of a safetensors
    model its folder.
    """


class ModelSource(ApiModel):
    """Where the weights come from; exactly one."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "[has(self.oci), has(self.huggingFace), has(self.s3), has(self.gcs), has(self.azure),"
                " has(self.http), has(self.persistentVolumeClaim)].exists_one(x, x)",
                ONE_SOURCE,
            ),
            Rule(
                "!has(self.credentialsSecret) || has(self.oci) || has(self.huggingFace)"
                " || has(self.s3) || has(self.gcs) || has(self.azure)",
                CREDENTIALS_FOR_NOTHING,
            ),
            Rule("!has(self.refresh) || !has(self.persistentVolumeClaim)", REFRESH_IN_PLACE),
        )
    )

    oci: OciSource | None = None
    """An artifact in a registry, downloaded once into the cache."""

    hugging_face: HuggingFaceSource | None = None
    """A model in a repository of the Hugging Face Hub, downloaded once into the cache."""

    s3: S3Source | None = None
    """A model in a bucket of S3 or of a store that speaks its language, downloaded once into the
    cache.
    """

    gcs: GcsSource | None = None
    """A model in a bucket of Google Cloud Storage, downloaded once into the cache."""

    azure: AzureSource | None = None
    """A model in a container of Azure Blob Storage, downloaded once into the cache."""

    http: HttpSource | None = None
    """A file that is downloaded once into the cache."""

    persistent_volume_claim: ClaimSource | None = None
    """A file on a volume of this namespace, used in place."""

    credentials_secret: ObjectName | None = None
    """Name of a Secret in the Model's namespace. For oci of type kubernetes.io/dockerconfigjson, with
    the credentials of the registry; for huggingFace with the key `token`; for s3 with the keys
    `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, and `AWS_SESSION_TOKEN` where the keys have
    one; for gcs with the key `service-account.json`, a service account's key as Google makes it;
    for azure with `AZURE_STORAGE_ACCOUNT_KEY`, or with `AZURE_STORAGE_SAS_TOKEN`, or with
    `AZURE_CLIENT_ID`, `AZURE_CLIENT_SECRET` and `AZURE_TENANT_ID`. It is mounted into the Jobs
    that look at and pull the weights, and nowhere else; the operator never reads it. Default: none,
    for what is public, and for buckets where the service account of the ModelRunner's podTemplate
    has a workload identity.
    """

    refresh: Period | None = None
    """How often to look whether the source has moved, e.g. `24h`: a tag, a branch, a file or object
    that was written anew. Newer weights are pulled beside those that serve, then the runners roll,
    then the former weights are deleted. To look once and now: `kubectl annotate model NAME
    modelrunner.dev/refresh="$(date)" --overwrite`. Default: never.
    """

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        remote = [self.oci, self.hugging_face, self.s3, self.gcs, self.azure]
        if [*remote, self.http, self.persistent_volume_claim].count(None) != len(remote) + 1:
            raise ValueError(ONE_SOURCE)
        if self.credentials_secret is not None and not any(remote):
            raise ValueError(CREDENTIALS_FOR_NOTHING)
        if self.refresh is not None and self.persistent_volume_claim is not None:
            raise ValueError(REFRESH_IN_PLACE)
        return self
