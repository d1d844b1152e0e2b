"""Models in buckets: S3, Google Cloud Storage, Azure Blob Storage."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from modelrunner.api.annotations import Rule, Rules, matches, rules
from modelrunner.api.v1alpha1.choice import Patterns, Quantization
from modelrunner.api.v1alpha1.common import ApiModel

PLAIN_HTTP = (
    "an http:// endpoint lets everybody on the way read the weights: use https://, or set insecure"
    " to true"
)
_ENCRYPTED = ConfigDict(
    json_schema_extra=rules(
        Rule(
            "!has(self.endpoint) || !self.endpoint.startsWith('http://')"
            " || (has(self.insecure) && self.insecure)",
            PLAIN_HTTP,
        )
    )
)
_URL = matches("^https?://[A-Za-z0-9.:-]+(/[A-Za-z0-9._/-]*)?$") + (
    " && isURL(self) && url(self).getHostname() != ''"
)
_Prefix = (
    Annotated[
        str,
        Field(min_length=1, max_length=1024),
        Rules(
            Rule(
                r"!self.matches(r'(^|/)\.{0,2}(/|$)') && !self.matches(r'[\x00-\x1f\x7f\\]')",
                'use a folder such as "models/smollm2", or an object that ends in ".gguf" or '
                '".safetensors": no "/" at its ends, no ".."',
            )
        ),
    ]
    | None
)
_Endpoint = (
    Annotated[
        str,
        Field(max_length=512),
        Rules(
            Rule(
                _URL,
                'use the store\'s URL without the bucket, such as "https://minio.example.com:9000"',
            )
        ),
    ]
    | None
)
_Account = Annotated[
    str,
    Field(max_length=24),
    Rules(
        Rule(
            matches("^[a-z0-9]{3,24}$"),
            'use the storage account\'s name alone, such as "acme": 3 to 24 lower-case letters and '
            "digits",
        )
    ),
]
_Container = Annotated[
    str,
    Field(max_length=63),
    Rules(
        Rule(
            matches(r"^([a-z0-9]+(-[a-z0-9]+)*|\$root|\$web)$") + " && size(self) >= 3",
            'use the container\'s name alone, such as "models": 3 to 63 lower-case letters, digits '
            'and "-"',
        )
    ),
]


class _Bucket(ApiModel):
    """What buckets of all stores have in common."""

    model_config = _ENCRYPTED

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        given: tuple[str | None, bool | None] = (
            getattr(self, "endpoint", None),
            getattr(self, "insecure", None),
        )
        if (given[0] or "").startswith("http://") and not given[1]:
            raise ValueError(PLAIN_HTTP)
        return self


class S3Source(_Bucket):
    """A model in a bucket of S3, or of a store that speaks its language."""

    bucket: Annotated[
        str,
        Field(max_length=63),
        Rules(
            Rule(
                matches("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"),
                'use the bucket\'s name alone, such as "models": 3 to 63 lower-case letters, digits, '
                '"-" and "."',
            )
        ),
    ]
    """The bucket's name."""

    prefix: _Prefix = None
    """An object that ends in `.gguf`, of several shards any, or one in `.safetensors`; or a folder,
    of whose files the model is chosen as for huggingFace. Default: the whole bucket.
    """

    endpoint: _Endpoint = None
    """The store's URL, without the bucket. Default: Amazon S3 in the region."""

    region: (
        Annotated[
            str,
            Field(max_length=64),
            Rules(
                Rule(
                    matches("^[A-Za-z0-9][A-Za-z0-9_-]*$"),
                    "use the name of a region, such as eu-central-1",
                )
            ),
        ]
        | None
    ) = None
    """The bucket's region. Default: us-east-1, or AWS_REGION in the ModelRunner's env."""

    insecure: bool | None = None
    """Whether the endpoint may be plain http, where everybody on the way can read the weights.
    Default: false, https only.
    """

    quantization: Quantization = None
    """Which of the folder's models: the word in the file's name, upper or lower case. Default:
    Q4_K_M, where there is none of these the first.
    """

    files: Patterns = None
    """Patterns of the files that count, relative to the folder, such as `Q8_0/*`; `*` stands for
    any characters. Default: all.
    """

    ignored_files: Patterns = None
    """Patterns of the files that do not count, such as `mmproj-*`. Default: none."""


class GcsSource(_Bucket):
    """A model in a bucket of Google Cloud Storage."""

    bucket: Annotated[
        str,
        Field(max_length=222),
        Rules(
            Rule(
                matches("^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$"),
                'use the bucket\'s name alone, such as "models": 3 to 222 lower-case letters, digits, '
                '"-", "_" and "."',
            )
        ),
    ]
    """The bucket's name."""

    prefix: _Prefix = None
    """An object that ends in `.gguf`, of several shards any, or one in `.safetensors`; or a folder,
    of whose files the model is chosen as for huggingFace. Default: the whole bucket.
    """

    endpoint: _Endpoint = None
    """The URL of another server with the XML API of Google Cloud Storage, without the bucket, such
    as a private endpoint or an emulator. Default: https://storage.googleapis.com.
    """

    insecure: bool | None = None
    """Whether the endpoint may be plain http, where everybody on the way can read the weights.
    Default: false, https only.
    """

    quantization: Quantization = None
    """Which of the folder's models: the word in the file's name, upper or lower case. Default:
    Q4_K_M, where there is none of these the first.
    """

    files: Patterns = None
    """Patterns of the files that count, relative to the folder, such as `Q8_0/*`; `*` stands for
    any characters. Default: all.
    """

    ignored_files: Patterns = None
    """Patterns of the files that do not count, such as `mmproj-*`. Default: none."""


class AzureSource(_Bucket):
    """A model in a container of Azure Blob Storage."""

    account: _Account
    """The storage account's name."""

    container: _Container
    """The container's name."""

    prefix: _Prefix = None
    """An object that ends in `.gguf`, of several shards any, or one in `.safetensors`; or a folder,
    of whose files the model is chosen as for huggingFace. Default: the whole container.
    """

    endpoint: _Endpoint = None
    """The URL of the account's blobs, without the container, such as one in a national cloud, a
    private endpoint or an emulator. Default: https://ACCOUNT.blob.core.windows.net.
    """

    insecure: bool | None = None
    """Whether the endpoint may be plain http, where everybody on the way can read the weights.
    Default: false, https only.
    """

    quantization: Quantization = None
    """Which of the folder's models: the word in the file's name, upper or lower case. Default:
    Q4_K_M, where there is none of these the first.
    """

    files: Patterns = None
    """Patterns of the files that count, relative to the folder, such as `Q8_0/*`; `*` stands for
    any characters. Default: all.
    """

    ignored_files: Patterns = None
    """Patterns of the files that do not count, such as `mmproj-*`. Default: none."""
