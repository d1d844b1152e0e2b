"""`python -m release.manifests [DIR]`: the chart's defaults as static YAML, for use without Helm.

`crds.yaml` holds the CustomResourceDefinitions, `install.yaml` the operator and its namespace.
"""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from release.copies import CHART, ROOT
from release.helm import HelmError, helm

NAMESPACE: Final = "model-runner-system"
_RELEASE: Final = "model-runner-operator"
_HELM_LABEL: Final = re.compile(
    r'^ +(app\.kubernetes\.io/managed-by: "?Helm"?|helm\.sh/chart: .*)\n', re.MULTILINE
)
_HEADER: Final = "# Made by `make manifests` from charts/model-runner-operator. Do not edit.\n"
_NAMESPACE_MANIFEST: Final = f"""\
---
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    app.kubernetes.io/name: model-runner-operator
    pod-security.kubernetes.io/enforce: restricted
"""


def manifests() -> Mapping[str, str]:
    """Content by file name; the same chart gives the same text.

    Raises:
        HelmError: Helm is missing or does not accept the chart.
    """
    command = ("template", _RELEASE, CHART, "--namespace", NAMESPACE)
    crds = helm(*command, "--set", "crds.keep=false", "--show-only", "templates/crds.yaml")
    install = helm(*command, "--set", "crds.install=false")
    return {
        "crds.yaml": _without_helm(_HEADER + crds),
        "install.yaml": _without_helm(_HEADER + _NAMESPACE_MANIFEST + install),
    }


def write(folder: Path) -> list[Path]:
    """Write the files into `folder` and return their paths.

    Raises:
        HelmError: see `manifests`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in manifests().items():
        (folder / name).write_text(content, encoding="utf-8")
        written.append(folder / name)
    return written


def _without_helm(text: str) -> str:
    # Nothing was installed by Helm here, and tools that look for its releases must not think so.
    return _HELM_LABEL.sub("", text)


def main(words: Sequence[str] | None = None) -> int:
    """Write the files and print their paths."""
    parser = argparse.ArgumentParser(prog="python -m release.manifests", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "dist", metavar="DIR")
    arguments = parser.parse_args(words)
    try:
        for file in write(arguments.folder):
            sys.stdout.write(f"{file}\n")
    except HelmError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
