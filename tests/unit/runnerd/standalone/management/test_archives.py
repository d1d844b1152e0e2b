"""Models as tar archives."""

import io
import tarfile
from pathlib import Path

import pytest

from tests.support.managed import managed, stock


async def test_there_and_back(tmp_path: Path) -> None:
    """What was exported can be loaded; it is the same model, without a tag."""
    async with managed(tmp_path) as site:
        stored = stock(site.catalogue, tmp_path, "ai/smollm2")
        async with site.client.get("/models/smollm2/export") as answer:
            archive = await answer.read()
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "application/x-tar"
            assert answer.headers["Content-Length"] == str(len(archive))
            disposition = answer.headers["Content-Disposition"]
        assert disposition == 'attachment; filename="smollm2.tar"'
        with tarfile.open(fileobj=io.BytesIO(archive)) as found:
            assert "manifest.json" in found.getnames()
        site.catalogue.purge()
        async with site.client.post("/models/load", data=archive) as answer:
            assert answer.status == 200
            text = await answer.text()
        assert '"message":"Model loaded successfully"' in text
        [loaded] = site.catalogue.models()
        assert (loaded.identity, loaded.tags) == (stored.identity, ())


async def test_head(tmp_path: Path) -> None:
    """Says how long it would be, and reads nothing."""
    async with managed(tmp_path) as site:
        stock(site.catalogue, tmp_path, "ai/smollm2")
        async with site.client.head("/models/ai/smollm2/export") as answer:
            assert answer.status == 200
            assert int(answer.headers["Content-Length"]) > 4096


@pytest.mark.parametrize("data", [b"", b"no archive", b"\x1f\x8b" + b"x" * 2000])
async def test_no_archive(tmp_path: Path, data: bytes) -> None:
    """400 in a sentence, and nothing stays of it."""
    async with managed(tmp_path) as site:
        status, text = await site.ask("POST", "/models/load", data=data)
        assert status == 400, text
        assert site.catalogue.models() == []


async def test_export_of_nothing(tmp_path: Path) -> None:
    """404; no name of a client's gets into a header."""
    async with managed(tmp_path) as site:
        assert (await site.ask("GET", "/models/none/export"))[0] == 404
        async with site.client.get("/models/x%22%0d%0aX-Evil:%201/export") as answer:
            assert answer.status == 404
            assert "X-Evil" not in answer.headers
