"""How models are to run, as `_configure` said it."""

from dataclasses import replace

from modelrunner_protocol.configure import Configuration, merge
from modelrunner_protocol.wire import Mode
from runnerd.standalone.pool.told import Configured, Key

_NOTHING = Configuration()


class Configurations:
    """Kept per model and mode, in memory only, as Docker Model Runner does it."""

    def __init__(self) -> None:
        self._said: dict[Key, Configuration] = {}

    def of(self, key: Key) -> Configuration:
        """What is valid for an engine; the same object as long as nothing new is said.

        A model that ranks and was configured for completions only runs as configured for those.
        """
        found = self._said.get(key)
        if found is None and key.mode is Mode.RERANKING:
            found = self._said.get(replace(key, mode=Mode.COMPLETION))
        return found or _NOTHING

    def merged(self, key: Key, said: Configuration) -> Configuration:
        """What would be valid if this were said on top of what was said for exactly this mode."""
        return merge(self._said.get(key, _NOTHING), said)

    def put(self, key: Key, configuration: Configuration) -> None:
        """From now on this is valid."""
        self._said[key] = configuration

    def governed(self, key: Key) -> tuple[Key, ...]:
        """The engines that what is said for `key` is valid for."""
        ranking = replace(key, mode=Mode.RERANKING)
        if key.mode is Mode.COMPLETION and ranking not in self._said:
            return key, ranking
        return (key,)

    def forget(self, identity: str) -> None:
        """Drop what was said of a model."""
        for key in [key for key in self._said if key.identity == identity]:
            del self._said[key]

    def all(self, identity: str | None = None) -> list[Configured]:
        """What was said, of all models or of one."""
        return [
            Configured(identity=key.identity, mode=key.mode, configuration=configuration)
            for key, configuration in self._said.items()
            if identity is None or key.identity == identity
        ]
