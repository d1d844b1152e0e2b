"""Decides about each request: whose path, whose key, which model, which endpoint."""
