"""The demo: from nothing to an answer, with progress."""
