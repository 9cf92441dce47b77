from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import ConfigError, load
from tests.sections.written import write


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[server]\ntls_key = 'k.pem'", "server: tls_certificate and tls_key are set together"),
        ("[server]\npublic_url = 'ftp://x'", "server.public_url: must look like https://"),
        ("[server]\npublic_url = 'https://user:secret@x'", "server.public_url: must look like https://"),
        ("[server]\ncache_control = ''", "server.cache_control: must be directives such as"),
        ('[server]\ncache_control = "private\\nX-Other: 1"', "server.cache_control: must be directives such as"),
        ("[server]\ncors_origins = ['https://a/path']", "server.cors_origins: an origin is"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(write(tmp_path, text))
    assert message in str(error.value)


def test_the_public_url_loses_its_final_slash(tmp_path: Path) -> None:
    assert load(write(tmp_path, "[server]\npublic_url = 'https://dicom.example/pacs/'")).server.public_url == "https://dicom.example/pacs"
