"""Requests to the Cloud Healthcare API as Google's clients put them on the wire: dcmweb 1.0, recorded between it and a gateway, and
what the samples of Google's guide send in each of their languages. `tests.flows.recorded.wire` fills in the places."""

from __future__ import annotations

TOKEN = "ya29.canary-of-the-caller"
"""No secret: tests look for it where it must not be."""

STORE = "/projects/p/locations/l/datasets/clients/dicomStores/s"
WEB = STORE + "/dicomWeb"

_DCMWEB = f"""\
    Host: 127.0.0.1:18932
    User-Agent: python-requests/2.23.0
    Accept-Encoding: gzip, deflate
    Accept: {{accept}}
    Connection: keep-alive
    Authorization: Bearer {TOKEN}
"""


def dcmweb(method: str, path: str, accept: str = "*/*", length: int | None = None, base: str = WEB) -> str:
    """A request of dcmweb, which names the length of an instance last, and sends none with DELETE but 0."""
    text = f"{method} /v1{base}{path} HTTP/1.1\n" + _DCMWEB.replace("{accept}", accept)
    if length is not None:
        text = (
            text.replace("    Authorization", "    Content-Type: application/dicom\n    Authorization") + f"    Content-Length: {length}\n"
        )
    return text + ("    Content-Length: 0\n" if method == "DELETE" else "")


# -- the samples of the guide. Each stores an instance, searches, retrieves and deletes; {length} is that of the instance.

CURL = f"""\
    Host: healthcare.googleapis.com
    User-Agent: curl/8.5.0
    Accept: */*
    Authorization: Bearer {TOKEN}
"""

POWERSHELL = f"""\
    Authorization: Bearer {TOKEN}
    User-Agent: Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.22621.2506
    Host: healthcare.googleapis.com
    Connection: Keep-Alive
"""

GO = f"""\
    Host: healthcare.googleapis.com
    User-Agent: google-api-go-client/0.5
    X-Goog-Api-Client: gl-go/1.22.2 gdcl/0.176.1
    Authorization: Bearer {TOKEN}
    Accept-Encoding: gzip
"""

JAVA = """\
    Accept-Encoding: gzip
    User-Agent: Google-HTTP-Java-Client/1.44.1 (gzip)
    x-goog-api-client: gl-java/17.0.10 gdcl/2.0.0 linux/6.5.0
    Host: healthcare.googleapis.com
    Accept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2
    Connection: keep-alive
"""
"""Accept is what the JDK says where nobody else says anything."""

APACHE = """\
    Host: healthcare.googleapis.com
    Connection: Keep-Alive
    User-Agent: Apache-HttpClient/4.5.14 (Java/17.0.10)
    Accept-Encoding: gzip,deflate
"""

NODE = f"""\
    x-goog-api-client: gdcl/7.2.0 gl-node/20.12.2
    Accept-Encoding: gzip
    User-Agent: google-api-nodejs-client/7.2.0 (gzip)
    Authorization: Bearer {TOKEN}
    Connection: close
    Host: healthcare.googleapis.com
"""

PYTHON = f"""\
    Host: healthcare.googleapis.com
    User-Agent: python-requests/2.32.5
    Accept-Encoding: gzip, deflate
    Connection: keep-alive
    authorization: Bearer {TOKEN}
    x-allowed-locations: 0x0
"""

ALWAYS = "?alt=json&prettyPrint=false"
"""What Go's client adds."""
IN_THE_URL = f"?access_token={TOKEN}"
"""How the samples in Java that use no client of the API show who they are."""

SAMPLES: dict[str, dict[str, str]] = {
    "curl": {
        "store": f"POST {WEB}/studies HTTP/1.1\n{CURL}Content-Type: application/dicom\nContent-Length: {{length}}",
        "search": f"GET {WEB}/instances HTTP/1.1\n{CURL}",
        "study": f"GET {WEB}/studies/{{study}} HTTP/1.1\n{CURL}".replace(
            "*/*", "multipart/related; type=application/dicom; transfer-syntax=*"
        ),
        "instance": f"GET {WEB}{{instance}} HTTP/1.1\n{CURL}".replace("*/*", "application/dicom; transfer-syntax=*"),
        "rendered": f"GET {WEB}{{instance}}/rendered HTTP/1.1\n{CURL}".replace("*/*", "image/png"),
        "metadata": f"GET {WEB}{{instance}}/metadata HTTP/1.1\n{CURL}",
        "delete": f"DELETE {WEB}/studies/{{study}} HTTP/1.1\n{CURL}",
    },
    "powershell": {
        "store": f"POST {WEB}/studies HTTP/1.1\n{POWERSHELL}Content-Type: application/x-www-form-urlencoded\nExpect: 100-continue\n"
        "Content-Length: {length}",
        "search": f"GET {WEB}/instances HTTP/1.1\n{POWERSHELL}",
        "study": f"GET {WEB}/studies/{{study}} HTTP/1.1\n{POWERSHELL}Accept: multipart/related; type=application/dicom; transfer-syntax=*",
        "instance": f"GET {WEB}{{instance}} HTTP/1.1\n{POWERSHELL}Accept: application/dicom; transfer-syntax=*",
        "rendered": f"GET {WEB}{{instance}}/rendered HTTP/1.1\n{POWERSHELL}Accept: image/png",
        "metadata": f"GET {WEB}{{instance}}/metadata HTTP/1.1\n{POWERSHELL}",
        "delete": f"DELETE {WEB}/studies/{{study}} HTTP/1.1\n{POWERSHELL}Content-Length: 0",
    },
    "go": {
        "store": f"POST {WEB}/studies{ALWAYS} HTTP/1.1\n{GO}Content-Type: application/dicom\nContent-Length: {{length}}",
        "search": f"GET {WEB}/instances{ALWAYS} HTTP/1.1\n{GO}",
        "study": f"GET {WEB}/studies/{{study}}{ALWAYS} HTTP/1.1\n{GO}",
        "instance": f"GET {WEB}{{instance}}{ALWAYS} HTTP/1.1\n{GO}Accept: application/dicom; transfer-syntax=*",
        "rendered": f"GET {WEB}{{instance}}/rendered{ALWAYS} HTTP/1.1\n{GO}Accept: image/png",
        "metadata": f"GET {WEB}{{instance}}/metadata{ALWAYS} HTTP/1.1\n{GO}",
        "delete": f"DELETE {WEB}/studies/{{study}}{ALWAYS} HTTP/1.1\n{GO}",
    },
    "java": {
        "store": f"POST {WEB}/studies{IN_THE_URL} HTTP/1.1\n{APACHE}Content-Type: application/dicom\nAccept: application/dicom\n"
        "Content-Length: {length}",
        "search": f"GET {WEB}/instances HTTP/1.1\n{JAVA}Authorization: Bearer {TOKEN}",
        "study": f"GET {WEB}/studies/{{study}} HTTP/1.1\n{JAVA}Authorization: Bearer {TOKEN}",
        "instance": f"GET {WEB}{{instance}}{IN_THE_URL} HTTP/1.1\n{APACHE}Accept: application/dicom; transfer-syntax=*",
        "rendered": f"GET {WEB}{{instance}}/rendered{IN_THE_URL} HTTP/1.1\n{APACHE}Accept: image/png",
        "metadata": f"GET {WEB}{{instance}}/metadata HTTP/1.1\n{JAVA}Authorization: Bearer {TOKEN}",
        "delete": f"DELETE {WEB}/studies/{{study}} HTTP/1.1\n{JAVA}Authorization: Bearer {TOKEN}",
    },
    "node": {
        "store": f"POST {WEB}/studies HTTP/1.1\n{NODE}Content-Type: application/dicom\nAccept: application/dicom+json\n"
        "Transfer-Encoding: chunked",
        "search": f"GET {WEB}/instances HTTP/1.1\n{NODE}Accept: application/dicom+json,multipart/related",
        "study": f"GET {WEB}/studies/{{study}} HTTP/1.1\n{NODE}Accept: multipart/related; type=application/dicom; transfer-syntax=*",
        "instance": f"GET {WEB}{{instance}} HTTP/1.1\n{NODE}Accept: application/dicom; transfer-syntax=*",
        "rendered": f"GET {WEB}{{instance}}/rendered HTTP/1.1\n{NODE}Accept: image/png",
        "metadata": f"GET {WEB}{{instance}}/metadata HTTP/1.1\n{NODE}Accept: application/json",
        "delete": f"DELETE {WEB}/studies/{{study}} HTTP/1.1\n{NODE}Accept: application/json",
    },
    "python": {
        "store": f"POST {WEB}/studies HTTP/1.1\n{PYTHON}Accept: */*\nContent-Type: application/dicom\nContent-Length: {{length}}",
        "search": f"GET {WEB}/instances HTTP/1.1\n{PYTHON}Accept: */*\nContent-Type: application/dicom+json; charset=utf-8",
        "study": f"GET {WEB}/studies/{{study}} HTTP/1.1\n{PYTHON}Accept: multipart/related; type=application/dicom; transfer-syntax=*",
        "instance": f"GET {WEB}{{instance}} HTTP/1.1\n{PYTHON}Accept: application/dicom; transfer-syntax=*",
        "rendered": f"GET {WEB}{{instance}}/rendered HTTP/1.1\n{PYTHON}Accept: image/png",
        "metadata": f"GET {WEB}{{instance}}/metadata HTTP/1.1\n{PYTHON}Accept: */*",
        "delete": f"DELETE {WEB}/studies/{{study}} HTTP/1.1\n{PYTHON}Accept: */*\nContent-Type: application/dicom+json; charset=utf-8\n"
        "Content-Length: 0",
    },
}
"""Requests by language and what they are for, below a version of the API."""
