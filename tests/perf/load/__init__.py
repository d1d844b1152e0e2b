"""A model server that does no work, and the load on what stands in front of it. In C."""
