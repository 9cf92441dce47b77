"""How the product and its peers are started: settings that are equal where they mean the same, and fair where they do not.

Orthanc is Debian's with SyncStorageArea on (its own default: it syncs files before it answers), all attributes in its metadata, no log
of requests. nginx serves files with sendfile and keeps answers in a cache on disk. The gateway is the full product: checks, metrics,
limits, syncs and the access log, which goes to a file.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

PLUGINS = Path("/usr/share/orthanc/plugins")
ORTHANC, NGINX, BARE = "orthanc", "nginx", "bare"
PEERS = (ORTHANC, NGINX, BARE)

HOUR = 3600
"""Seconds for which answers are kept, on both sides: longer than any workload takes."""


def program(name: str) -> str | None:
    """Where a program is; those of the system are not in everybody's PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def installed() -> dict[str, str]:
    """The peers that are not here, and what would bring them."""
    absent = {}
    if program("Orthanc") is None or not (PLUGINS / "libOrthancDicomWeb.so").exists():
        absent[ORTHANC] = "not installed: apt-get install orthanc orthanc-dicomweb"
    if program("nginx") is None:
        absent[NGINX] = "not installed: apt-get install nginx-light"
    return absent


def gateway(folder: Path, port: int, *, workers: int = 1, origin: str = "", profile: str = "generic") -> list[str]:
    """The product. :param origin: the DICOMweb base URL that it stands in front of, else it keeps what it gets itself."""
    folder.mkdir(parents=True)
    settings = f"[cache]\nttl = {HOUR}\n"
    if origin:
        settings += f'[stores.default]\nbackend = "upstream"\nurl = "{origin}"\nprofile = "{profile}"\n'
    path = folder / "gateway.toml"
    path.write_text(settings)
    flags = ("--config", str(path), "--data", str(folder / "data"), "--port", str(port), "--workers", str(workers))
    return [sys.executable, "-m", "gateway", "serve", *flags]


def bare(documents: Path, port: int) -> list[str]:
    """The floor of aiohttp."""
    return [sys.executable, "-m", "loadtests.bench.bare_server", "--port", str(port), "--folder", str(documents)]


def orthanc(folder: Path, port: int) -> list[str]:
    """Orthanc."""
    folder.mkdir(parents=True)
    names = ("libOrthancDicomWeb.so", "libOrthancGdcm.so")
    settings = {
        "Name": "peer",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "Plugins": [str(PLUGINS / name) for name in names if (PLUGINS / name).exists()],
        "HttpPort": port,
        "HttpThreadsCount": 64,
        "KeepAlive": True,
        "TcpNoDelay": True,
        "HttpCompressionEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "DefaultEncoding": "Utf8",
        "SyncStorageArea": True,
        "StorageCompression": False,
        "StoreMD5ForAttachments": False,
        "LimitFindResults": 0,
        "LimitFindInstances": 0,
        "SaveJobs": False,
        "MetricsEnabled": False,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full"},
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(settings))
    found = program("Orthanc")
    assert found is not None
    return [found, str(path)]


def nginx(folder: Path, port: int, documents: Path, origin: int) -> list[str]:
    """``/file/NAME`` is a file; all else comes from `origin` and is kept."""
    folder.mkdir(parents=True)
    user = "user root;" if os.getuid() == 0 else ""
    path = folder / "nginx.conf"
    path.write_text(_NGINX.format(folder=folder, user=user, port=port, documents=documents, origin=origin))
    found = program("nginx")
    assert found is not None
    return [found, "-c", str(path), "-e", str(folder / "error.log")]


_NGINX = """daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; default_type application/octet-stream;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
  scgi_temp_path {folder}/s;
  proxy_cache_path {folder}/cache levels=1:2 keys_zone=kept:16m max_size=4g inactive=60m use_temp_path=off;
  upstream origin {{ server 127.0.0.1:{origin}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    location /file/ {{ alias {documents}/; }}
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_cache kept; proxy_cache_key $request_uri$http_accept; proxy_cache_valid 200 60m;
      proxy_ignore_headers Cache-Control Expires Vary;
    }}
  }}
}}
"""
