"""Decisions: pure functions over what was observed. No I/O, no clock, no randomness."""
