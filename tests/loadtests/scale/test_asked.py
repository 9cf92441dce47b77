"""What a large store is asked, told apart from what is asked twice, and answered by a small one."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from gateway.backends.local import schema, search
from gateway.backends.local.statements import plan_of
from gateway.dicom import dictionary
from gateway.dicomweb.query import parse_query
from gateway.dicomweb.resources import Level, Resource
from loadtests.scale.asked import CASES, Case, Facts, requests
from loadtests.scale.fill import fill
from loadtests.scale.hospital import Hospital

INSTANCES = 1000
STUDIES = list(Hospital(INSTANCES).studies())
FACTS = Facts(len(STUDIES), INSTANCES)
LEVELS: dict[str, Level] = {"studies": "study", "series": "series", "instances": "instance"}
SEARCHES = [case for case in CASES if not case.name.startswith("metadata")]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked")
    fill(folder, INSTANCES)
    return folder / "index.sqlite"


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.name))
def test_the_same_seed_asks_the_same_and_offsets_are_offsets(case: Case) -> None:
    paths = requests(case, STUDIES, FACTS, 50, seed=3)
    assert paths == requests(case, STUDIES, FACTS, 50, seed=3) and len(paths) == 50
    assert not [path for path in paths if "offset=-" in path]


@pytest.mark.parametrize("case", SEARCHES, ids=lambda case: str(case.name))
def test_every_search_is_understood_and_finds_something(case: Case, index: Path) -> None:
    """Nothing is a search for everything by mistake: a key that is not understood would be left out."""
    db = schema.connect(index, read_only=True)
    found = 0
    for path in requests(case, STUDIES, FACTS, 30, seed=3):
        parts = urlsplit(path)
        *parents, last = parts.path.split("/")
        params = parse_qsl(parts.query, keep_blank_values=True)
        resource = Resource.parse(*parents[1::2]) if parents else Resource()
        query = parse_query(LEVELS[last], resource, params, dictionary, max_limit=1000, default_limit=1000)
        keys = [name for name, _ in params if name not in ("limit", "offset", "fuzzymatching", "includefield")]
        plan = plan_of(query)
        assert (len(plan.where) - len(parents[1::2]), plan.rest, plan.document) == (len(keys), (), False)
        found += bool(search.answer(db, plan).results)
    db.close()
    assert found or not case.found
