"""Requests that Chromium 156 sent for browser viewers, as data: OHIF 3.13.2 with its cornerstone3D, and dicomweb-client 0.10.4 of dcmjs.

They were recorded between the browser and a gateway. UIDs, dates and what was typed became ``{places}``; host names became the
two below. OHIF was driven with its data source set up in several ways, and an entry says where the set-up mattered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

HOST = "127.0.0.1:3000"
"""The gateway, and in the requests of the same origin the viewer, too."""

ORIGIN = "https://viewer.example"
"""A viewer that is served from elsewhere."""

_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36"

_SAME_ORIGIN = f"""\
    {{line}} HTTP/1.1
    Host: {HOST}
    Connection: keep-alive
    sec-ch-ua-platform: "Linux"
    User-Agent: {_AGENT}
    Accept: {{accept}}
    sec-ch-ua: "Not:A-Brand";v="8", "Chromium";v="156"
    sec-ch-ua-mobile: ?0
    Sec-Fetch-Site: same-origin
    Sec-Fetch-Mode: cors
    Sec-Fetch-Dest: empty
    Referer: http://{HOST}/viewer?StudyInstanceUIDs=1.2.4
    Accept-Encoding: {{coding}}
    Accept-Language: en-US,en;q=0.9
    Cookie: i18next=en-US
    {{more}}
"""

_OTHER_ORIGIN = f"""\
    {{line}} HTTP/1.1
    Host: {HOST}
    Connection: keep-alive
    sec-ch-ua-platform: "Linux"
    {{more}}
    User-Agent: {_AGENT}
    Accept: {{accept}}
    sec-ch-ua: "Not:A-Brand";v="8", "Chromium";v="156"
    sec-ch-ua-mobile: ?0
    Origin: {ORIGIN}
    Sec-Fetch-Site: cross-site
    Sec-Fetch-Mode: cors
    Sec-Fetch-Dest: empty
    Referer: {ORIGIN}/
    Accept-Encoding: {{coding}}
    Accept-Language: en-US,en;q=0.9
"""

PREFLIGHT = f"""\
    OPTIONS {{path}} HTTP/1.1
    Host: {HOST}
    Connection: keep-alive
    Accept: */*
    Access-Control-Request-Method: {{method}}
    Access-Control-Request-Headers: {{headers}}
    Origin: {ORIGIN}
    User-Agent: {_AGENT}
    Sec-Fetch-Mode: cors
    Sec-Fetch-Site: cross-site
    Sec-Fetch-Dest: empty
    Referer: {ORIGIN}/
    Accept-Encoding: gzip, deflate, br, zstd
    Accept-Language: en-US,en;q=0.9
"""

_UPLOAD = f"""\
    POST {{path}} HTTP/1.1
    Host: {HOST}
    Connection: keep-alive
    Content-Length: {{length}}
    sec-ch-ua-platform: "Linux"
    {{more}}
    User-Agent: {_AGENT}
    sec-ch-ua: "Not:A-Brand";v="8", "Chromium";v="156"
    Content-Type: multipart/related; type="application/dicom"; boundary="{{boundary}}"
    sec-ch-ua-mobile: ?0
    Accept: */*
    Origin: {{origin}}
    Sec-Fetch-Site: {{site}}
    Sec-Fetch-Mode: cors
    Sec-Fetch-Dest: empty
    Referer: {{origin}}/
    Accept-Encoding: gzip, deflate, br, zstd
    Accept-Language: en-US,en;q=0.9
"""

_NAVIGATION = f"""\
    GET {{path}} HTTP/1.1
    Host: {HOST}
    Connection: keep-alive
    sec-ch-ua: "Not:A-Brand";v="8", "Chromium";v="156"
    sec-ch-ua-mobile: ?0
    sec-ch-ua-platform: "Linux"
    Upgrade-Insecure-Requests: 1
    User-Agent: {_AGENT}
    Accept: {{accept}}
    Sec-Fetch-Site: {{site}}
    Sec-Fetch-Mode: navigate
    Sec-Fetch-Dest: object
    {{more}}
    Referer: {{referer}}
    Accept-Encoding: gzip, deflate, br, zstd
    Accept-Language: en-US,en;q=0.9
"""

_ELEMENT = f"""\
    GET {{path}} HTTP/1.1
    Host: {HOST}
    Connection: keep-alive
    {{origin}}
    sec-ch-ua-platform: "Linux"
    User-Agent: {_AGENT}
    sec-ch-ua: "Not:A-Brand";v="8", "Chromium";v="156"
    sec-ch-ua-mobile: ?0
    Accept: {{accept}}
    Sec-Fetch-Site: same-origin
    Sec-Fetch-Mode: cors
    Sec-Fetch-Dest: {{element}}
    Referer: http://{HOST}/viewer?StudyInstanceUIDs=1.2.4
    Accept-Encoding: {{coding}}
    Accept-Language: en-US,en;q=0.9
    Cookie: i18next=en-US
    {{more}}
"""

BOUNDARY = "19e79d81-ab66-1b67-5ae8-554b1349c166"
CODINGS = "gzip, deflate, br, zstd"
IDENTITY = "identity"
"""What the browser puts into Accept-Encoding where the page asks for a range."""

TOKEN = "Authorization: Bearer None"
"""Behind the platform. Any header of this name makes the browser ask beforehand."""

AGAIN = "If-None-Match: {etag}\nIf-Modified-Since: {modified}"
"""Added by the browser when its cache holds an answer to the same URL."""


def same_origin(line: str, accept: str, more: str = "", coding: str = CODINGS) -> str:
    """A request of a viewer that has the gateway's own origin."""
    return filled(_SAME_ORIGIN, line=line, accept=accept, more=more, coding=coding)


def other_origin(line: str, accept: str, more: str = "", coding: str = CODINGS) -> str:
    """The same from `ORIGIN`."""
    return filled(_OTHER_ORIGIN, line=line, accept=accept, more=more, coding=coding)


def upload(path: str, length: int, *, remote: bool, more: str = "") -> str:
    """A store request, which has an Origin wherever it comes from."""
    origin, site = (ORIGIN, "cross-site") if remote else (f"http://{HOST}", "same-origin")
    return filled(_UPLOAD, path=path, length=str(length), origin=origin, site=site, boundary=BOUNDARY, more=more)


def uploaded(*files: bytes) -> bytes:
    """The body as dcmjs builds it: a line break before the first boundary and none behind the last one. The buffer is too large
    by the length of a closing boundary for each file after the first, so zeros follow."""
    head = f"\r\n--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    close = f"\r\n--{BOUNDARY}--".encode()
    return b"".join(head + file for file in files) + close + bytes(len(close) * (len(files) - 1))


def navigation(path: str, accept: str, *, remote: bool) -> str:
    """A document in an ``<object>``: a page of its own to the browser, which sends no Origin."""
    site, referer, more = (
        ("cross-site", f"{ORIGIN}/", "Sec-Fetch-Storage-Access: none") if remote else ("same-origin", f"http://{HOST}/", "")
    )
    return filled(_NAVIGATION, path=path, accept=accept, site=site, referer=referer, more=more)


def picture(path: str, accept: str) -> str:
    """An ``<img crossorigin>``."""
    return filled(_ELEMENT, path=path, accept=accept, element="image", origin=f"Origin: http://{HOST}", coding=CODINGS, more="")


def video(path: str, more: str = "Range: bytes=0-") -> str:
    """A ``<video>``, which asks for all that is left from some byte on."""
    return filled(_ELEMENT, path=path, accept="*/*", element="video", origin="", coding=IDENTITY, more=more)


def filled(text: str, **places: str) -> str:
    """`text` with what stands for each ``{name}`` in it."""
    for name, value in places.items():
        text = text.replace("{" + name + "}", value)
    return text


# -- searches

JSON = "application/dicom+json"

_PAGE = "limit=101&offset=0&fuzzymatching=true&includefield=00081030%2C00080060%2C00080090%2C00100030"

STUDY_LIST: Mapping[str, str] = {
    "all": _PAGE,
    "supportsFuzzyMatching false": _PAGE.replace("true", "false"),
    "patient": "PatientName=*{typed}*&" + _PAGE,
    "patient, not ASCII": "PatientName=*M%C3%BCller**&" + _PAGE,
    "description": "StudyDescription=*{typed}*&" + _PAGE,
    "one modality": "ModalitiesInStudy={typed}&" + _PAGE,
    "two modalities": "ModalitiesInStudy={typed}%2C{second}&" + _PAGE,
    "patient id": "00100020=*{typed}*&" + _PAGE,
    "from and to": _PAGE + "&StudyDate={from}-{to}",
    "from until today": _PAGE + "&StudyDate={from}-20261122",
    "only to": _PAGE + "&StudyDate=19700102-{to}",
    "every field": "PatientName=*{name}*&00100020=*{id}*&AccessionNumber=*{number}*&StudyDescription=*{words}*"
    + "&ModalitiesInStudy={typed}&"
    + _PAGE
    + "&StudyDate={from}-{to}",
    "study to open": _PAGE + "&StudyInstanceUID={study}",
    "other studies of the patient": "00100020={typed}&" + _PAGE,
}
"""Queries of ``GET /dicom-web/studies`` of OHIF."""

SERIES_LISTS: Mapping[str, str] = {
    "OHIF, row of the study list": "?includefield=0008103E%2C00080021",
    "OHIF, study that opens": "?includefield=00080021%2C00080031%2C0008103E%2C00200011",
    "dcmjs": "",
}
"""Queries of ``GET /dicom-web/studies/{study}/series``."""

DCMJS_SEARCHES: Mapping[str, str] = {
    "studies": "/studies?PatientName=Doe*&limit=5",
    "series": "/series?Modality=CT",
    "instances": "/instances?SOPInstanceUID={sop}",
    "instances of a study": "/studies/{study}/instances",
    "one instance of a series": "/studies/{study}/series/{series}/instances?limit=1&includefield=00080018",
}
"""The last one is also OHIF's, when it looks for a picture of a series."""

METADATA: Mapping[str, str] = {
    "series, one after the other": "/studies/{study}/series/{series}/metadata",
    "enableStudyLazyLoad false": "/studies/{study}/metadata",
    "dcmjs": "{instance}/metadata",
}

# -- pixels


class Asked(NamedTuple):
    """Headers that differ."""

    accept: str
    more: str = ""
    coding: str = CODINGS


_SLIDES = ["jls.80", "jls.81", "jp2.90", "jp2.91", "jpx.92", "jpx.93", "", "jpeg.50"]

FRAMES: Mapping[str, Asked] = {
    "omitQuotationForMultipartRequest": Asked("multipart/related; type=application/octet-stream; transfer-syntax=*"),
    "quoted": Asked('multipart/related; type="application/octet-stream"; transfer-syntax="*"'),
    "dcmjs": Asked('multipart/related; type="application/octet-stream"; transfer-syntax=*'),
    "stackRetrieveOptions with ranges": Asked(
        "multipart/related; type=application/octet-stream; transfer-syntax=*", "Range: bytes=0-63999", IDENTITY
    ),
    "microscopy": Asked(
        ", ".join(
            f'multipart/related; type="image/{one[:-3]}"; transfer-syntax=1.2.840.10008.1.2.4{one[-3:]}'
            if one
            else 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
            for one in _SLIDES
        )
    ),
}
"""``GET /dicom-web{instance}/frames/{number}`` of whatever is stored."""

JPEG_FRAMES: Mapping[str, Asked] = {
    "transfer syntax": Asked('multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50'),
    "no transfer syntax": Asked('multipart/related; type="image/jpeg"'),
}
"""``…/frames/1,2,3`` and the like of an instance that is JPEG."""

NATIVE_FRAMES: Mapping[str, Asked] = {
    "requestTransferSyntaxUID": Asked('multipart/related; type="application/octet-stream"; transfer-syntax="1.2.840.10008.1.2.1"'),
    "dcmjs, transfer syntax": Asked('multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'),
    "dcmjs, no media type": Asked('multipart/related; type="application/octet-stream"'),
    "acceptHeader": Asked("multipart/related; type=image/jls; q=1,multipart/related; type=application/octet-stream; q=0.1"),
}
"""The same of one that is not compressed."""

FILES: Mapping[str, str] = {"segmentation or structure set": "{instance}", "dcmjs, series": "/studies/{study}/series/{series}"}
FILE = 'multipart/related; type="application/dicom"'

# -- bulk data, by the BulkDataURI of the metadata

ELECTROCARDIOGRAM: Mapping[str, Asked] = {
    "OHIF": Asked("application/octet-stream"),
    "dcmjs": Asked('multipart/related; type="application/octet-stream"'),
    "dcmjs, range in parts": Asked('multipart/related; type="application/octet-stream"', "Range: bytes=0-1023", IDENTITY),
}

PALETTE = Asked("*/*")
"""Also of ICC profiles of slides."""

DOCUMENT: Mapping[str, Asked] = {
    "singlepart without pdf": Asked('multipart/related; type="application/pdf", multipart/related; type="application/octet-stream"'),
    "staticWado": Asked("*/*"),
}

# -- pictures of the study list, documents and videos

PICTURES: Mapping[str, tuple[str, str]] = {
    "OHIF, thumbnailRendering wadors": (
        "{instance}/rendered?accept=image%2Fjpeg",
        'multipart/related; type="application/octet-stream"',
    ),
    "OHIF, thumbnailRendering thumbnail": (
        "{instance}/thumbnail?accept=image%2Fjpeg",
        'multipart/related; type="application/octet-stream"',
    ),
    "OHIF, static-wado": ("{instance}/thumbnail?viewport=256%2C256", "image/jpeg"),
    "dcmjs, viewport": ("{instance}/rendered?viewport=128%2C128", "*/*"),
    "dcmjs, frame": ("{instance}/frames/1/rendered", "image/jpeg"),
    "dcmjs, thumbnail": ("{instance}/thumbnail", "*/*"),
}
"""Path below the base, and Accept; all of them are answered with one JPEG."""

PNG = ("{instance}/rendered", "image/png")
TWO_FRAMES = ("{instance}/frames/1,2/rendered", "image/jpeg")
"""Of dcmjs, which takes one picture for an answer (PS3.18 10.4.4 has two only as parts)."""

IMG = ("{instance}/thumbnail?accept=image/jpeg", "image/jxl,image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8")
"""OHIF, thumbnailRendering thumbnailDirect."""

OBJECT = (
    "{instance}/rendered",
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/jxl,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7",
)
"""A PDF of OHIF."""

VIDEO = "{instance}/rendered"

# -- what the browser asks before a page of another origin may ask

PREFLIGHTS: Mapping[str, tuple[str, str, str]] = {
    "OHIF, a frame, for the quotes in Accept": ("{instance}/frames/1", "GET", "accept"),
    "OHIF, a file": ("{instance}", "GET", "accept"),
    "OHIF, upload": ("/studies", "POST", "content-type"),
    "token, search": ("/studies?PatientName=Doe*&limit=5", "GET", "authorization"),
    "token, series": ("/series?Modality=CT", "GET", "authorization"),
    "token, metadata": ("/studies/{study}/series/{series}/metadata", "GET", "authorization"),
    "token, frames": ("{instance}/frames/1,2,3", "GET", "accept,authorization"),
    "token, study": ("/studies/{study}", "GET", "accept,authorization"),
    "token, bulk data": ("{instance}/bulkdata/54000100/0/54001010", "GET", "accept,authorization"),
    "token, upload": ("/studies", "POST", "authorization,content-type"),
    "token, picture": ("{instance}/rendered?viewport=128%2C128", "GET", "authorization"),
    "token, frames of a picture": ("{instance}/frames/1,2/rendered", "GET", "authorization"),
    "token, thumbnail": ("{instance}/thumbnail", "GET", "authorization"),
}
"""Path, method and headers of the request to come."""
