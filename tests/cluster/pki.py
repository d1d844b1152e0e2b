"""Certificates and kubeconfigs of one cluster."""

import base64
import ipaddress
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.cluster.settings import API_SERVICE_ADDRESS, NODE, NODE_ADDRESS

_Extension = tuple[x509.ExtensionType, bool]
_API_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
# Kubeconfig name → common name and organization: who Kubernetes takes its holder for.
_CLIENTS = {
    "admin": ("admin", "system:masters"),
    "apiserver-kubelet": ("kube-apiserver-kubelet-client", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", None),
    "scheduler": ("system:kube-scheduler", None),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
    "kube-proxy": ("system:kube-proxy", None),
}


class Authority:
    """A certificate authority that keeps what it issues as FOLDER/NAME.crt and FOLDER/NAME.key."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        self._keep(
            name,
            self._subject,
            self._key,
            [(x509.BasicConstraints(ca=True, path_length=None), True), (usage, True)],
        )

    def issue_client(self, file: str, common_name: str, organization: str | None = None) -> None:
        """A certificate for a client; Kubernetes reads its user and group from the subject."""
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        if organization:
            subject.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        key = ec.generate_private_key(ec.SECP256R1())
        self._keep(file, x509.Name(subject), key, [(usage, False)])

    def issue_server(
        self, file: str, common_name: str, names: Sequence[str], addresses: Sequence[str]
    ) -> None:
        """A certificate for a server that is reached by these names and IP addresses."""
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        alternatives += [x509.IPAddress(ipaddress.ip_address(text)) for text in addresses]
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        key = ec.generate_private_key(ec.SECP256R1())
        extensions: list[_Extension] = [
            (usage, False),
            (x509.SubjectAlternativeName(alternatives), False),
        ]
        self._keep(file, subject, key, extensions)

    def _keep(
        self,
        file: str,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        extensions: Sequence[_Extension],
    ) -> None:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=365))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        certificate = builder.sign(self._key, hashes.SHA256())
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        _write(self._folder / f"{file}.crt", pem, 0o644)
        write_key(self._folder / f"{file}.key", key)


def write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Store a private key in SEC 1.

    Not PKCS 8: the API server reads the service accounts' public key out of this file, and it
    finds one only in the older form.
    """
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    _write(file, pem, 0o600)


def make_pki(folder: Path, server: str, address: str) -> None:
    """Fill `folder` with all keys, certificates and kubeconfigs of one cluster.

    Args:
        folder: where they go.
        server: URL of the API server, for the kubeconfigs.
        address: the IP address the API server listens on.
    """
    authority = Authority(folder, "ca")
    addresses = sorted({address, "127.0.0.1", API_SERVICE_ADDRESS})
    authority.issue_server("apiserver", "kube-apiserver", _API_NAMES, addresses)
    authority.issue_server("kubelet-serving", NODE, [NODE], [NODE_ADDRESS])
    for file, (common_name, organization) in _CLIENTS.items():
        authority.issue_client(file, common_name, organization)
        config = kubeconfig(folder, server, file)
        _write(folder / f"{file}.kubeconfig", config.encode(), 0o600)
    Authority(folder, "front-proxy-ca").issue_client("front-proxy", "front-proxy-client")
    write_key(folder / "service-account.key", ec.generate_private_key(ec.SECP256R1()))


def kubeconfig(folder: Path, server: str, file: str) -> str:
    """A kubeconfig, as JSON (which is YAML), with the certificates of `file` inline."""

    def inline(name: str) -> str:
        return base64.b64encode((folder / name).read_bytes()).decode("ascii")

    cluster = {"server": server, "certificate-authority-data": inline("ca.crt")}
    user = {
        "client-certificate-data": inline(f"{file}.crt"),
        "client-key-data": inline(f"{file}.key"),
    }
    name = "model-runner-tests"
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": file, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": file}}],
        },
        indent=1,
    )


def _write(file: Path, content: bytes, mode: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
