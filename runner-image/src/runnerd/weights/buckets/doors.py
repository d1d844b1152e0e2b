"""Which store a source's bucket is in, and the way into it."""

from modelrunner_protocol.sources import Bucket as BucketSource
from modelrunner_protocol.wire import AzureSource, Credentials, GcsSource
from runnerd.weights.buckets.azure import AzureEntrance
from runnerd.weights.buckets.entrance import Entrance
from runnerd.weights.buckets.gcs import GcsEntrance
from runnerd.weights.buckets.s3 import S3Entrance


def entrance(
    source: BucketSource, credentials: Credentials | None, *, stall_timeout: float
) -> Entrance:
    """The way into a bucket, by the kind of its store.

    Args:
        source: Which one.
        credentials: The user's Secret.
        stall_timeout: Seconds without a byte after which a connection is dead.

    Raises:
        WeightsError: the Secret or the endpoint is not good.
    """
    if isinstance(source, GcsSource):
        return GcsEntrance(source, credentials, stall_timeout=stall_timeout)
    if isinstance(source, AzureSource):
        return AzureEntrance(source, credentials, stall_timeout=stall_timeout)
    return S3Entrance(source, credentials, stall_timeout=stall_timeout)
