"""Every method of the Cloud Healthcare API, called with Google's own Python client: what works, and what says UNIMPLEMENTED.

The discovery documents that the client brings along are the oracle. ``python -m tests.flows.google_methods > docs/healthcare.md``
measures again and writes the table anew.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from keyword import iskeyword
from pathlib import Path
from typing import Any

import httplib2
from googleapiclient import discovery_cache
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from tests.flows.google_story import Story
from tests.running import running

VERSIONS = ("v1", "v1beta1")
WORKS, UNIMPLEMENTED, ABSENT = "works", "UNIMPLEMENTED", "-"

HEAD = """\
# The Cloud Healthcare API, method by method

Which methods of Google's API the gateway answers for a local store, below `/v1` and `/v1beta1`. The table is not written but
measured: each method of both discovery documents is called with google-api-python-client at a gateway that runs
(`python -m tests.flows.google_methods > docs/healthcare.md`), and a test keeps it true. *works* means that the client got what
the method is for; *UNIMPLEMENTED* is HTTP 501 in Google's envelope, which clients raise as such; *-* is not in that version.

A method without a row answers UNIMPLEMENTED in both versions: all of {rest}.

## An emulator for tests

```sh
dicomweb-gateway serve --ephemeral --port 0 > url &        # a free port; its URL is the first line
HOST=$(until head -1 url | grep http; do sleep 0.1; done)
tests/flows/quickstart.sh "$HOST" instance.dcm             # Google's quickstart with curl
kill %1                                                    # SIGTERM: the data are gone with the process
```

What is stored lies in a folder below `$TMPDIR` (`dicomweb-gateway-ephemeral-*`), which is removed on Ctrl-C and SIGTERM, and also
where the gateway ends by an error of its own. After `kill -9` it stays, and is yours to remove.

Clients only need another endpoint: `client_options={{"api_endpoint": HOST}}` for google-api-python-client, `option.WithEndpoint` in Go,
`setRootUrl` in Java, `rootUrl` in Node, the host of the URL for `dcmweb` and curl. Credentials are taken and, without
`server.token_file`, not looked at.

Whether a client tries again can be tested, too: `[emulator]` answers a share of the requests below `/v1` and `/v1beta1` with 429,
500 or 503 in Google's envelope, and they do nothing then (`gateway_emulated_answers_total` counts them):

```toml
[emulator]
error_rate = 0.1
statuses = [429, 503]
retry_after = 1
```

## Bound to the real API

A project, or one dataset of it, can be bound to the real API. Then nothing below it is answered here: DICOM stores are stores in front
of an origin (with the cache, pictures and searches that all of them have), and everything else passes through as a stream in both
directions, with the origin's own answers: FHIR, HL7v2, consent, access control, operations, datasets.

```toml
[healthcare.relays.cloud]
project = "my-project"                        # with location and dataset: that dataset alone
credentials = {{ kind = "google" }}             # or pass_through: what each caller shows; see docs of stores for the others
```

- The caller's credentials stay here unless `kind = "pass_through"`, and so does an API key (`key=`); `access_token=` and
  `oauth_token=` are taken out of URLs always. `X-HTTP-Method-Override` makes a GET of a POST and nothing else.
- URLs of the API in answers become the gateway's: `Location` and its like, `fullUrl`, `url` and `location` of FHIR's bundles, and
  those of DICOM stores. What people wrote into their resources stays. Answers come without a content coding, for they are read so.
- Redirects are not followed. Paths with empty segments, dots or hidden slashes are refused; of answers' headers those go on that
  callers need. Errors of the relay itself (origin down, too many calls) come in Google's envelope, too.
- A deletion of a study is the origin's operation; meanwhile what is kept of the study is looked at anew again and again. Stores with
  a `Storage-Class`, `PUT` and `PATCH` pass through, and make what is kept old. What the origin changes by itself (its own imports)
  is seen when what is kept has aged (`[cache]`).

## Changes of metadata

`updateMetadata` (v1beta1) takes a JSON Patch (RFC 6902) whose paths begin with a tag: `/00100010/Value/0/Alphabetic`. An instance
changes at once and is answered as a store is; a study or series changes in an operation, each instance once, also when the gateway is
killed meanwhile, and one that cannot be changed costs only itself. What names an instance, its character set and its pixels cannot be
changed. Every element that the patch does not touch stays byte for byte; only where new text needs UTF-8 and the file has another
character set, its other text is written anew. Deflated and big endian files are left as they are. A patch has up to 64 KiB.

## Import and export

`:import` and `:export` read and write object storage and folders of the gateway's own host. A caller goes there with the gateway's
rights, so nothing is let through unless it is set:

```toml
[healthcare]
buckets = ["gs://our-imports/", "s3://archive/research/"]   # with all that is below; "gs://" is every bucket
folders = ["/srv/transfer"]                                 # file:///srv/transfer/...; links inside are not followed
```

| URI | credentials | setting for another endpoint |
|---|---|---|
| `gs://bucket/name` | `GOOGLE_APPLICATION_CREDENTIALS`, `GOOGLE_SERVICE_ACCOUNT`, or the instance's account | `gcs_endpoint` |
| `s3://bucket/name` | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, or the instance's role | `s3_endpoint` |
| `file:///path/name` | those of the gateway's user | |

- Wildcards of `gcsSource.uri` are Google's: `*`, `?`, and `**` at the end or before an extension (`**.dcm`). Names are taken as they
  are written, without decoding. In folders hidden files are passed over. A bucket with names that have an empty part (`a//b`) cannot
  be listed; the operation says so.
- What is stored already is left alone and counts as a success, also where the file is another version of it, unless the settings have
  `on_duplicate = "replace"` for that store.
- A file or instance that fails costs only itself. The operation then ends with an error that has their number and, of the first ten,
  name and reason; names stand in no log. `counter.pending` is there as soon as all have been counted.
- `mimeType` of an export: none for as stored; `application/dicom; transfer-syntax=UID`; `image/jpeg` and `image/png`, of several frames
  `INSTANCE/FRAME.jpg`; `application/octet-stream` for pixels. Of this gateway's own is `application/dicom+json`: metadata as
  `STUDY.ndjson`, an instance a line, which BigQuery and others load. `bigqueryDestination` is answered with UNIMPLEMENTED.
- `filterConfig.resourcePathsGcsUri` is a list of up to 16 MiB in any of these places.
- Both go on after a restart behind the last file that is done, and end within a second when they are cancelled; what is done is done.
- A file goes out in parts of 5 MiB; one that breaks off is taken back. After `kill -9` parts may be left in a bucket: a lifecycle
  rule that ends incomplete uploads removes them.

On the command line `dicomweb-gateway import` and `export` do the same, with the rights of whoever types them.
"""


def document(version: str) -> dict[str, Any]:
    """The discovery document of a version."""
    found: dict[str, Any] = json.loads((Path(discovery_cache.__file__).parent / f"documents/healthcare.{version}.json").read_text())
    return found


def methods(resource: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """All of them by their full names, without ``projects.locations``."""
    for name, method in resource.get("methods", {}).items():
        yield ".".join((*above, name)).removeprefix("projects.locations."), method
    for name, below in resource.get("resources", {}).items():
        yield from methods(below, (*above, name))


def is_shown(name: str) -> bool:
    """Whether a method has a row: locations, and what is not of FHIR, HL7v2, consent and the rest."""
    first, _, rest = name.partition(".")
    return first in ("get", "list") or (
        first == "datasets" and ("." not in rest or rest.partition(".")[0] in ("dicomStores", "operations"))
    )


@dataclass
class Called:
    """The client of one version at a gateway, and what became of each method."""

    version: str
    service: Any
    folder: Path
    ends: dict[str, str] = field(default_factory=dict)

    def all(self) -> None:
        """Each method once: those of DICOM stores with what they are for, as far as they can, others with anything."""
        known = dict(methods(document(self.version)))
        story = Story(self.service, self.version, self.version.replace("v1", "d"), self.folder / "files" / self.version)
        for name, tell in told(story):
            if name in known:
                self.ends[name] = end(tell)
        for name, method in known.items():
            if name not in self.ends:
                self.ends[name] = end(lambda name=name, method=method: self._anything(name, method))  # type: ignore[misc]  # of a lambda's defaults

    def _anything(self, name: str, method: dict[str, Any]) -> None:
        where = self.service.projects().locations()
        *resources, last = name.split(".")
        for resource in resources:
            where = getattr(where, resource)()
        words = {name: filled(method["parameters"][name]) for name in method.get("parameterOrder", ())}
        body: dict[str, Any] = {"body": {}} if "request" in method else {}
        getattr(where, python_name(last))(**words, **body).execute()
        raise AssertionError(f"{name} works, and no part of the story tells of it")


def letting(folder: Path) -> dict[str, str]:
    """The setting that lets callers import from a folder in `folder`, and export to it."""
    (folder / "files").mkdir()
    return {"GATEWAY_HEALTHCARE__FOLDERS": json.dumps([str(folder / "files")])}


def told(story: Story) -> Iterator[tuple[str, Callable[[], None]]]:
    """The parts of the story in their order, by the methods that they call."""
    for part in vars(Story).values():
        if hasattr(part, "method"):
            yield part.method, part.__get__(story)


def end(call: Callable[[], None]) -> str:
    """What became of a call."""
    try:
        call()
    except HttpError as error:
        told = json.loads(error.content)["error"]
        if (error.resp.status, told["code"], told["status"]) != (501, 501, "UNIMPLEMENTED"):
            raise
        return UNIMPLEMENTED
    return WORKS


def filled(parameter: dict[str, Any]) -> str:
    """Something that a parameter may be."""
    return str(parameter.get("pattern", "x")).strip("^$").replace("[^/]+", "x").replace(".*", "x")


def python_name(name: str) -> str:
    """As the client spells it."""
    name = name.replace("-", "_").replace(".", "_")
    return f"{name}_" if iskeyword(name) else name


def service(root: str, version: str) -> Any:
    """The client, which reads no document from the network."""
    options = {"api_endpoint": root}
    return build("healthcare", version, static_discovery=True, http=httplib2.Http(timeout=60), client_options=options)


def measured(root: str, folder: Path) -> dict[str, dict[str, str]]:
    """What became of each method in each version, at a gateway that may read and write a folder."""
    found: dict[str, dict[str, str]] = {}
    for version in VERSIONS:
        called = Called(version, service(root, version), folder)
        called.all()
        for name, what in called.ends.items():
            found.setdefault(name, dict.fromkeys(VERSIONS, ABSENT))[version] = what
    return found


def page(found: dict[str, dict[str, str]]) -> str:
    """docs/healthcare.md."""
    rest = sorted({name.split(".")[1] if name.startswith("datasets.") else name.partition(".")[0] for name in found if not is_shown(name)})
    rows = [f"| `{name}` | {found[name]['v1']} | {found[name]['v1beta1']} |" for name in sorted(found) if is_shown(name)]
    head = HEAD.format(rest=", ".join(f"`{one}`" for one in rest))
    table = "\n".join(["| `projects.locations.…` | v1 | v1beta1 |", "|---|---|---|", *rows])
    return head.replace("## An emulator", f"{table}\n\n## An emulator", 1)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), "--workers", "1", environment=letting(Path(folder))) as gateway:
        sys.stdout.write(page(measured(gateway.root, Path(folder))))
