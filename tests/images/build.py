"""Both images as archives in the cache, named after what they are made of.

An unchanged tree costs a fraction of a second: nothing but the key is computed.
"""

import dataclasses
import shutil
import tempfile
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.cluster.locks import locked
from tests.cluster.progress import Progress
from tests.cluster.settings import ROOT, cache_folder
from tests.images.archives import Size, describe, described, description, forget_old
from tests.images.bases import bases_key, can_make_bases, ensure_bases
from tests.images.builders import Builder, Recipe, choose_builder
from tests.images.engine import add_engine
from tests.images.inputs import copy_files, digest_of_files, digest_of_texts
from tests.images.logs import last_line
from tests.images.pip_settings import host_settings
from tests.images.tools import ensure_tools
from tests.support.engine import Engine, ensure_engine

_KEPT: Final = 3
_SHARED: Final = (".dockerignore", "protocol/pyproject.toml", "protocol/src")
# Where no base images can be made from packages: those that the Dockerfiles name.
_PUBLISHED: Final = "published"


@dataclasses.dataclass(frozen=True)
class Images:
    """Names that a cluster knows the images by once `archives` are loaded.

    `sizes` are by image name.
    """

    operator: str
    runner: str
    archives: tuple[Path, ...]
    sizes: Mapping[str, Size]


@dataclasses.dataclass(frozen=True)
class _Target:
    title: str
    folder: str
    requirements: str
    base_argument: str

    @property
    def inputs(self) -> tuple[str, ...]:
        sources = (f"{self.folder}/Dockerfile", f"{self.folder}/pyproject.toml")
        locks = ("requirements/build.txt", f"requirements/{self.requirements}.txt")
        return (*_SHARED, *locks, *sources, f"{self.folder}/src")


OPERATOR: Final = _Target("model-runner-operator", "operator", "operator", "BASE_IMAGE")
RUNNER: Final = _Target("model-runner", "runner-image", "runner", "ENGINE_IMAGE")


def ensure_images(progress: Progress | None = None) -> Images:
    """Both images of the tree as it is now; builds the ones whose inputs changed.

    Several processes may ask at once; the first one builds.

    Raises:
        ClusterError: a prerequisite is missing or a build failed, with the end of its log.
        FetchError: the engine could not be fetched or built.
    """
    progress = progress or Progress()
    ensure_tools(progress)
    folder = cache_folder() / "images"
    base = bases_key() if can_make_bases() else _PUBLISHED
    engine = None if base == _PUBLISHED else ensure_engine(progress)
    bases = {OPERATOR: (base,), RUNNER: (base, engine.folder.name if engine else "")}
    keys = {target: image_key(target, *bases[target]) for target in bases}
    if not all(description(_archive(target, key)).is_file() for target, key in keys.items()):
        with locked(folder / "lock", what="the images", progress=progress):
            session = _Session(folder, choose_builder(cache_folder() / "buildah"), engine, progress)
            keys = {target: session.ensure(target, bases[target]) for target in bases}
    names = {target: _name(target, key) for target, key in keys.items()}
    archives = {target: _archive(target, key) for target, key in keys.items()}
    sizes = {names[target]: described(archive) for target, archive in archives.items()}
    return Images(names[OPERATOR], names[RUNNER], tuple(archives.values()), sizes)


def image_key(target: _Target, *bases: str, root: Path = ROOT) -> str:
    """Twelve characters that change with anything the image is made of."""
    # Digits alone would be a number to YAML and to `helm --set`; the letter makes it a word.
    return "k" + digest_of_texts(digest_of_files(root, target.inputs), *bases)[:11]


class _Session:
    """The builds of one call."""

    def __init__(
        self, folder: Path, builder: Builder, engine: Engine | None, progress: Progress
    ) -> None:
        self._folder = folder
        self._builder = builder
        self._engine = engine
        self._progress = progress

    def ensure(self, target: _Target, bases: tuple[str, ...]) -> str:
        """Build one image if it is not there, and return its key."""
        with tempfile.TemporaryDirectory(dir=self._folder, prefix="context-") as space:
            # What is built is what the key was computed of, also while somebody edits the tree.
            context = Path(space)
            copy_files(ROOT, target.inputs, context)
            key = image_key(target, *bases, root=context)
            if not description(_archive(target, key)).is_file():
                self._build(target, key, context)
        return key

    def _build(self, target: _Target, key: str, context: Path) -> None:
        begin = time.monotonic()
        name, archive = _name(target, key), _archive(target, key)
        log = self._folder / f"{target.title}.log"
        bases, pip = self._bases(target), host_settings()
        for wheel in pip.wheels:
            (context / "requirements/wheels").mkdir(exist_ok=True)
            shutil.copy(wheel, context / "requirements/wheels")
        recipe = Recipe(
            name,
            context,
            context / target.folder / "Dockerfile",
            arguments={"VERSION": _version(context / target.folder), **bases},
            pip=pip,
            pull=not bases,
        )
        with self._progress.during(
            f"building {name} with {self._builder.name}", lambda: last_line(log)
        ):
            self._builder.build(recipe, log)
        with self._progress.during(f"writing {archive.name}"):
            self._builder.save((name, f"localhost/{target.title}:dev"), archive)
        size = Size(archive.stat().st_size, self._builder.unpacked_size(name))
        describe(archive, size)
        self._progress.say(f"{name} is built after {time.monotonic() - begin:.1f} s: {size}")
        old = forget_old(archive, f"{target.title}-{'?' * 12}.tar", _KEPT)
        self._builder.remove([_name(target, file.stem.rpartition("-")[2]) for file in old])

    def _bases(self, target: _Target) -> dict[str, str]:
        if self._engine is None:
            return {}
        bases = ensure_bases(self._folder, self._progress)
        names = {
            "run": f"localhost/model-runner-base:{bases.key}",
            "build": f"localhost/model-runner-base-build:{bases.key}",
        }
        self._add_base(names["run"], bases.run)
        self._add_base(names["build"], bases.build)
        base = names["run"]
        if target is RUNNER:
            base = add_engine(self._builder, self._engine, base, self._progress)
        return {target.base_argument: base, "BUILD_IMAGE": names["build"]}

    def _add_base(self, name: str, archive: Path) -> None:
        if self._builder.has(name):
            return
        with tempfile.TemporaryDirectory(dir=self._folder, prefix="base-") as space:
            context = Path(space)
            (context / "Dockerfile").write_text("FROM scratch\nADD base.tar /\n", encoding="utf-8")
            (context / "base.tar").hardlink_to(archive)
            recipe = Recipe(name, context, context / "Dockerfile")
            with self._progress.during(f"adding {name}"):
                self._builder.build(recipe, self._folder / "base.log")


def _name(target: _Target, key: str) -> str:
    return f"localhost/{target.title}:{key}"


def _archive(target: _Target, key: str) -> Path:
    return cache_folder() / "images" / f"{target.title}-{key}.tar"


def _version(folder: Path) -> str:
    text = (folder / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])
