"""Certificates that Kubernetes accepts."""

import base64
import json
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.cluster.pki import make_pki


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of one cluster."""
    folder = tmp_path_factory.mktemp("pki")
    make_pki(folder, "https://127.0.0.1:7000", "127.0.0.1")
    return folder


def certificate(pki: Path, name: str) -> x509.Certificate:
    """One certificate of the folder."""
    return x509.load_pem_x509_certificate((pki / f"{name}.crt").read_bytes())


@pytest.mark.parametrize(
    ("name", "user", "group"),
    [
        ("admin", "admin", "system:masters"),
        ("kubelet", "system:node:node1", "system:nodes"),
        ("scheduler", "system:kube-scheduler", None),
    ],
)
def test_client_certificates_name_user_and_group(
    pki: Path, name: str, user: str, group: str | None
) -> None:
    """Kubernetes takes the holder for this user, signed by this cluster's authority."""
    subject = certificate(pki, name).subject
    found = [one.value for one in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = [one.value for one in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    assert (found, groups) == ([user], [group] if group else [])
    certificate(pki, name).verify_directly_issued_by(certificate(pki, "ca"))


def test_the_api_server_is_known_by_all_its_names(pki: Path) -> None:
    """From this machine, and from pods through the kubernetes Service."""
    extension = certificate(pki, "apiserver").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    names = extension.value.get_values_for_type(x509.DNSName)
    addresses = [str(one) for one in extension.value.get_values_for_type(x509.IPAddress)]
    assert "kubernetes.default.svc" in names
    assert addresses == ["10.96.0.1", "127.0.0.1"]


def test_the_service_account_key_is_in_the_form_the_api_server_reads(pki: Path) -> None:
    """It finds no public key in a PKCS 8 file and refuses to start."""
    assert (pki / "service-account.key").read_bytes().startswith(b"-----BEGIN EC PRIVATE KEY-----")


def test_keys_and_kubeconfigs_are_readable_by_their_owner_only(pki: Path) -> None:
    """Another user of the machine is not an administrator of the cluster."""
    secret = [*pki.glob("*.key"), *pki.glob("*.kubeconfig")]
    assert len(secret) > 10
    assert {stat.S_IMODE(file.stat().st_mode) for file in secret} == {0o600}


def test_a_kubeconfig_stands_alone(pki: Path) -> None:
    """It can be copied elsewhere: everything is inline."""
    config = json.loads((pki / "admin.kubeconfig").read_text())
    cluster = config["clusters"][0]["cluster"]
    assert cluster["server"] == "https://127.0.0.1:7000"
    authority = base64.b64decode(cluster["certificate-authority-data"])
    assert authority == (pki / "ca.crt").read_bytes()
    assert config["contexts"][0]["name"] == config["current-context"]
