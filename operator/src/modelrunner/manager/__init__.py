"""The wiring of the operator process; the only importer of kopf."""
