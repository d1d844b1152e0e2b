"""Benchmarks: both sides in one run, ratios printed, nothing asserted."""
