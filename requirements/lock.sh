#!/usr/bin/env bash
# Resolves the dependencies into requirements/*.txt, with hashes and without addresses, so
# that the same files serve whichever index a machine uses. What is pinned already stays, as
# far as the inputs allow; raise versions with --upgrade or --upgrade-package NAME.
set -euo pipefail
cd "$(dirname "$0")/.."

UV=${UV:-$(command -v .venv/bin/uv uv | head -n 1)} || true
if [ -z "$UV" ]; then
  echo "uv is needed to resolve dependencies: .venv/bin/pip install uv (or set UV to its path)" >&2
  exit 1
fi

lock() {
  local output=$1
  shift
  echo "resolving $output"
  "$UV" pip compile --quiet \
    --universal --python-version 3.11 --generate-hashes \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
    --no-emit-package modelrunner-protocol \
    --output-file "$output" "$@" >/dev/null
}

lock requirements/build.txt requirements/build.in "$@"
lock requirements/operator.txt operator/pyproject.toml "$@"
lock requirements/runner.txt runner-image/pyproject.toml "$@"
lock requirements/dev.txt requirements/dev.in requirements/build.in \
  operator/pyproject.toml runner-image/pyproject.toml "$@"
for peer in envoy vllm-router litellm; do
  lock "requirements/peer-$peer.txt" "requirements/peer-$peer.in" "$@"
done
lock requirements/clients.txt requirements/clients.in "$@"
