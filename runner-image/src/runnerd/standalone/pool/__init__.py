"""Engines on one machine: loaded on demand, unloaded when they are not used or in the way."""

from runnerd.standalone.pool.making import inherited, maker
from runnerd.standalone.pool.pool import Pool
from runnerd.standalone.pool.told import Configured, Key, Running

__all__ = ["Configured", "Key", "Pool", "Running", "inherited", "maker"]
