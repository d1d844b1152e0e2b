"""Ollama's API over an engine that speaks OpenAI's: pure translation, both ways.

Source: ollama/ollama docs/api.md, api/types.go, server/routes.go; what its clients read is
proved with the clients (tests/integration/*/test_ollama.py). No I/O; clocks come in as arguments.
"""
