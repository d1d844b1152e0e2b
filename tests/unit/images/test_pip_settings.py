"""`tests.images.pip_settings`: pip inside a build goes by what pip outside goes by."""

from pathlib import Path

from tests.images.pip_settings import WHEELS, host_settings, translate


def test_nothing_set_is_nothing_passed() -> None:
    """An ordinary machine passes an empty configuration."""
    found = translate("", {})
    assert found.configuration == "[global]\n"
    assert found.certificates is None
    assert found.wheels == ()


def test_variables_win_over_files_and_only_what_reaches_an_index_is_passed() -> None:
    """As in pip: environment, then `install`, then `global`; other settings stay outside."""
    listed = (
        ":env:.index-url='https://env.example/simple'\n"
        "global.index-url='https://file.example/simple'\n"
        "global.no-compile='true'\n"
        "global.timeout='7'\n"
        "install.timeout='9'\n"
        "install.trusted-host='a.example b.example'\n"
    )
    assert translate(listed, {}).configuration == (
        "[global]\n"
        "index-url = https://env.example/simple\n"
        "timeout = 9\n"
        "trusted-host = a.example\n"
        "    b.example\n"
    )


def test_certificates_are_named_by_their_place_in_the_build(tmp_path: Path) -> None:
    """First pip's own setting, then OpenSSL's; a file that is not there is not passed."""
    bundle, other = tmp_path / "ca.pem", tmp_path / "other.pem"
    bundle.touch()
    other.touch()
    found = translate(f"global.cert='{bundle}'\n", {"SSL_CERT_FILE": str(other)})
    assert found.certificates == bundle
    assert "cert = /run/secrets/ca.pem" in found.configuration
    assert str(tmp_path) not in found.configuration
    assert translate("", {"SSL_CERT_FILE": str(other)}).certificates == other
    assert translate("", {"SSL_CERT_FILE": str(tmp_path / "gone")}).certificates is None


def test_folders_of_wheels_travel_with_the_context(tmp_path: Path) -> None:
    """Addresses stay addresses; a folder's wheels are found at their place in the build."""
    (tmp_path / "a-1-py3-none-any.whl").touch()
    listed = f":env:.find-links='https://wheels.example {tmp_path} {tmp_path}/none'\n"
    found = translate(listed, {})
    assert found.wheels == (tmp_path / "a-1-py3-none-any.whl",)
    assert f"find-links = https://wheels.example\n    {WHEELS}\n" in found.configuration
    assert translate(f":env:.find-links='{tmp_path}/none'\n", {}).configuration == "[global]\n"


def test_this_machines_pip_can_be_asked() -> None:
    """The real pip's listing is understood."""
    assert host_settings().configuration.startswith("[global]\n")
