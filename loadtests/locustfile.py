"""Users that load a DICOMweb server and check every answer, for locust (run from the root of the repository).

    make load                                                   eight users, half a minute, the gateway on this machine
    make load USERS=30 TIME=10m ARGS="HospitalDay"              a day in ten minutes: night, morning, noon, evening
    make load ARGS="Modality Archive --to http://127.0.0.1:8042/dicom-web"     what is retrieved goes to a second server
    locust -f loadtests/locustfile.py --host http://127.0.0.1:8080/dicom-web      steered from a page at http://localhost:8089
    locust -f loadtests/locustfile.py --headless -u 16 -t 1m --host URL Modality --pause 0 --slices 200 --per-request 50
    locust -f loadtests/locustfile.py --headless -u 8 -t 1m --host URL --size 512x512x100 --slices 2 --per-request 1
    locust -f loadtests/locustfile.py --headless -u 4 -t 1m --host URL --seed 7 Modality      stores studies 0, 1, 2 and so on
    locust -f loadtests/locustfile.py --headless -u 32 -t 1m --host URL --seed 7 --stored 50 Viewer   reads the first fifty

The host is the base of any DICOMweb service: this gateway's, also below /v1/projects/..., or another's. If it wants a bearer
token, put it into a file (--token-file) or into the environment as DICOMWEB_TOKEN. Certificates are verified (SSL_CERT_FILE
adds an authority).

- `Modality` stores studies of --slices instances, --per-request of them in one request, and pauses between two studies.
- `Viewer` looks at work lists, looks patients up, and opens studies as OHIF does: searches, a thumbnail, metadata, ten frames
  in the order of scrolling; what it opens again it asks for with If-None-Match. There are three Viewers to a Modality.
- `Archive` searches a week's studies, retrieves each whole, and stores --to-share of them on --to.
- `HospitalDay` is all of them, coming and going as over a day that is compressed to --run-time. --day does that to any choice.

Without a name, Modalities and Viewers come. Viewers and Archives wait for a study to look at: they need a Modality or --stored.

What comes back is compared with what was sent, byte by byte: studies are computed (see synthetic.py), so nothing is kept to
compare with. A check that fails is a failure in locust's statistics, and locust then exits with 1; it also does when no
request was made at all. 503 and 429 with Retry-After are waited for and counted apart. At the end stands a table with
requests, failures and megabytes a second of each kind. All that is stored is made up; nothing is deleted afterwards. Users that
leave finish what they are doing, for half a minute at most (--stop-timeout).

`python -m loadtests.locustfile` prints this page and all options; `locust --help` knows only locust's own.

locust works on one core. When it warns that this core is busy, the times are its own: spread it with --processes 2 or more.
"""

import sys

from locust import events

from loadtests.scenarios import hooks, options
from loadtests.scenarios.archive import Archive
from loadtests.scenarios.day import HospitalDay
from loadtests.scenarios.modality import Modality
from loadtests.scenarios.viewer import Viewer

__all__ = ["Archive", "HospitalDay", "Modality", "Viewer"]

hooks.listen(events)

if __name__ == "__main__":
    sys.stdout.write(options.explain(__doc__))
