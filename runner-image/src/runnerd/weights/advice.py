"""What to do about a source that does not give what was asked for: it depends on who asked."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The ends of sentences.

    Attributes:
        reference: The name leads nowhere.
        login: There may be something, for somebody else.
        insecure: A registry does not speak https.
    """

    reference: str
    login: str
    insecure: str = ""


MODEL: Final = Advice(
    reference="correct spec.source.oci.reference",
    login=("name a Secret of type kubernetes.io/dockerconfigjson in spec.source.credentialsSecret"),
    insecure="set spec.source.oci.insecure to true",
)
"""For whoever wrote a Model with an artifact in a registry."""
