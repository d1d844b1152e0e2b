"""A stand-in for the published llama.cpp server image, made of the tests' llama-server."""

import shutil
import tempfile
from pathlib import Path
from typing import Final

from tests.cluster.progress import Progress
from tests.images.builders import Builder, Recipe
from tests.images.inputs import digest_of_texts
from tests.support.engine import Engine

# What the published image sets too, so that its traps are met in tests.
_DOCKERFILE: Final = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY app /app
ENV LLAMA_ARG_HOST=0.0.0.0
WORKDIR /app
ENTRYPOINT ["/app/llama-server"]
"""


def add_engine(builder: Builder, engine: Engine, base: str, progress: Progress) -> str:
    """The name of an image with `/app/llama-server` on top of `base`; builds it when missing."""
    key = digest_of_texts(engine.folder.name, base, _DOCKERFILE)[:12]
    name = f"localhost/model-runner-engine:{key}"
    if builder.has(name):
        return name
    with tempfile.TemporaryDirectory(dir=engine.folder.parent, prefix="context-") as space:
        context = Path(space)
        (context / "Dockerfile").write_text(_DOCKERFILE, encoding="utf-8")
        _copy_engine(engine.folder, context / "app")
        recipe = Recipe(name, context, context / "Dockerfile", arguments={"BASE_IMAGE": base})
        with progress.during(f"adding {name}"):
            builder.build(recipe, context / "build.log")
    return name


def _copy_engine(source: Path, target: Path) -> None:
    """The server and its libraries; not the notes that `ensure_engine` keeps beside them."""
    target.mkdir()
    for file in sorted(source.iterdir()):
        if file.name == "llama-server" or ".so" in file.suffixes:
            shutil.copy2(file, target / file.name, follow_symlinks=False)
