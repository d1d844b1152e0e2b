"""Keeps requests while their model cannot take them, and wakes it."""
