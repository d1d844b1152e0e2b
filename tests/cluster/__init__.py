"""A real Kubernetes for the tests and the demo: `python -m tests.cluster --help`.

`tests.cluster.providers.choose()` gives the cluster of this machine,
`tests.cluster.control_plane.ControlPlane` an API server without a node.
"""
