"""Desired objects: one template of plain YAML per kind, one module per engine. No I/O."""
