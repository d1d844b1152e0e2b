"""The engine process: its command line, its life, its failures. Light to import.

The engine is started before the HTTP libraries are imported, so nothing that is needed for
that (`command`, `child`, `cgroup`) may import them.
"""
