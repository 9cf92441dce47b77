"""Whom the gateway trusts behind https, and what it shows of itself there."""

from __future__ import annotations

import ssl
from pathlib import Path


class Unusable(ValueError):
    """A file for TLS cannot be used; the message names it and says why."""


def context(certificate: Path | None = None, key: Path | None = None, authority: Path | None = None) -> ssl.SSLContext | None:
    """What an origin's connections are made with; None where the system's defaults do. Reads files: call it at start.

    :param certificate: PEM file with a client certificate and its chain.
    :param key: PEM file with its key, which is not encrypted: nobody is there to type a password.
    :param authority: PEM file with the authorities that sign the origin's certificate; the system's are not trusted then.
    :raises Unusable: a file is missing, is no PEM, or does not fit the other.
    """
    if certificate is None and authority is None:
        return None
    made = _trusting(authority)
    made.minimum_version = ssl.TLSVersion.TLSv1_2  # PS3.15 B.9 forbids older ones
    if certificate is not None:
        _show(made, certificate, key)
    return made


def _trusting(authority: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority)
    except FileNotFoundError:
        raise Unusable(f"{authority} does not exist.") from None
    except (ssl.SSLError, OSError):
        raise Unusable(f"{authority} holds no certificates in PEM form that can be read.") from None


def _show(made: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    for path in (certificate, key):
        if path is not None and not path.is_file():
            raise Unusable(f"{path} does not exist.")
    try:
        made.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise Unusable(f"{key or certificate} is not the key of {certificate}.") from None
        raise Unusable(f"{certificate} and {key or certificate} hold no certificate with its key in PEM form.") from None
    except (OSError, ValueError):
        raise Unusable(f"{certificate} and {key or certificate} cannot be read; an encrypted key cannot be used.") from None


def _no_password() -> str:
    raise ValueError("encrypted")
