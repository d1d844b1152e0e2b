"""One reconciler per kind: observe → plan (pure) → apply → status."""
