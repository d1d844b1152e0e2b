"""The one error a user of the test cluster sees."""


class ClusterError(Exception):
    """Something a user can mend; the message says what and how."""
