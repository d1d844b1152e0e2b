"""The HTTP face of a runner. `run` is light to import; the rest needs aiohttp."""
