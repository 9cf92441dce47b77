"""Whether wrong answers are noticed."""

from __future__ import annotations

import orjson
import pytest

from loadtests.bench import checking, objects, scene
from loadtests.bench.client import Answer, Ask, get
from loadtests.bench.scene import Scene, held
from loadtests.checks import Mismatch

SMALL = Scene(studies=100, frames=3, turns=2, large=1 << 20)
HELD = held(SMALL, ["index", "scan", "unread"])
MULTIPART = "multipart/related; boundary=b"


def answer(ask: Ask, body: bytes, media: str = "application/dicom+json", status: int = 200) -> Answer:
    return Answer(ask, status, media, body)


def multipart(*parts: bytes) -> bytes:
    return b"".join(b"\r\n--b\r\n\r\n" + part for part in parts) + b"\r\n--b--\r\n"


def refused(check: checking.Check, wrong: Answer, saying: str) -> None:
    with pytest.raises(Mismatch, match=saying):
        check(SMALL, HELD, wrong)


def test_a_study_is_every_instance_once_and_nothing_else() -> None:
    (ask,) = scene.study(SMALL, 0)
    files = [b"".join(objects.scanned(index)) for index in range(objects.SLICES)]
    checking.whole_study(SMALL, HELD, answer(ask, multipart(*files[::-1]), MULTIPART))
    refused(checking.whole_study, answer(ask, multipart(*files[1:]), MULTIPART), "number of instances")
    refused(checking.whole_study, answer(ask, multipart(*files[1:], files[1]), MULTIPART), "different instances")
    refused(checking.whole_study, answer(ask, multipart(*files[1:], b"x"), MULTIPART), "never sent")


def test_an_instance_and_a_frame_are_bit_identical() -> None:
    instance, frame = scene.instances(SMALL, 0)[6], scene.frames(SMALL, 0)[6]
    file, pixels = b"".join(objects.scanned(6)), objects.slices()[2]
    checking.one_instance(SMALL, HELD, answer(instance, multipart(file), MULTIPART))
    checking.one_frame(SMALL, HELD, answer(frame, multipart(pixels), MULTIPART))
    refused(checking.one_instance, answer(instance, multipart(file[:-1] + b"!"), MULTIPART), "differ")
    refused(checking.one_frame, answer(frame, multipart(objects.slices()[3]), MULTIPART), "differ")


def test_a_frame_of_many_is_the_one_that_was_asked_for() -> None:
    first, second = scene.loop_frames(SMALL, 0)[:2]
    assert str(first.about).endswith("/frames/1") and str(second.about).endswith("/frames/2")
    checking.loop_frame(SMALL, HELD, answer(second, objects.loop(3).frame(0, 2), "application/octet-stream"))
    refused(checking.loop_frame, answer(second, objects.loop(3).frame(0, 1), "application/octet-stream"), "differ")


def described(count: int) -> list[dict[str, object]]:
    uids = objects.scan().sop_uids()[:count]
    return [{tag: {"vr": "UI", "Value": [uid]} for tag in ("00080018", "00181210", "00400275")} for uid in uids]


def test_metadata_has_every_instance_and_all_attributes() -> None:
    (ask,) = scene.metadata(SMALL, 0)
    whole = described(200)
    checking.metadata(SMALL, HELD, answer(ask, orjson.dumps(whole)))
    refused(checking.metadata, answer(ask, orjson.dumps(whole[1:])), "lacks 1 of 200")
    del whole[0]["00181210"]
    refused(checking.metadata, answer(ask, orjson.dumps(whole)), "no value of 00181210")


@pytest.mark.parametrize(
    ("path", "count"),
    [
        (scene.page(SMALL, 3), 50),
        (scene.patient(SMALL, 5), 1),
        ("/studies?PatientName=Almond*&limit=50", 8),
        ("/studies?PatientName=Almond*&limit=50&offset=3", 5),
        ("/studies?PatientName=Almond*&limit=50&offset=30", 0),
        ("/studies?StudyDate=20200101-20200103&limit=50", 3),
        (scene.series(SMALL, 7), 1),
        (scene.slices(SMALL, 7), 200),
    ],
)
def test_as_many_results_are_expected_as_studies_match(path: str, count: int) -> None:
    index = held(SMALL, ["index", "scan"])
    ask = get("/dicom-web" + path)
    checking.results(SMALL, index, answer(ask, orjson.dumps([{}] * count)))
    with pytest.raises(Mismatch, match="number of results"):
        checking.results(SMALL, index, answer(ask, orjson.dumps([{}] * (count + 1))))


@pytest.mark.parametrize(("media", "begin"), [("image/jpeg", b"\xff\xd8\xff"), ("image/png", b"\x89PNG")])
def test_a_picture_is_of_the_kind_that_was_asked_for(media: str, begin: bytes) -> None:
    ask = get("/rendered", media)
    checking.picture(SMALL, HELD, answer(ask, begin + bytes(5000), media))
    refused(checking.picture, answer(ask, begin, media), "no picture")
    refused(checking.picture, answer(ask, b"GIF89a" + bytes(5000), media), "no picture")


def test_peers_with_files_give_one_of_them() -> None:
    check = checking.same_as([b"one", b"two"])
    check(SMALL, HELD, answer(get("/file/a-1"), b"two"))
    refused(check, answer(get("/file/a-1"), b"three"), "none of the documents")


def test_a_sink_counts_all_that_was_sent() -> None:
    ask = objects.batches(objects.small(1, 3), 3, 1)[0]
    checking.sunk(SMALL, HELD, answer(ask, b"%d" % sum(map(len, ask.body))))
    refused(checking.sunk, answer(ask, b"17"), "count of bytes")


def test_a_store_that_fails_is_noticed() -> None:
    ask = objects.batches(objects.small(1, 2), 2, 1)[0]
    refused(checking.stored, answer(ask, orjson.dumps({"00081199": {"vr": "SQ", "Value": []}})), "lacks 2 of 2")


def test_a_status_is_noticed_where_nothing_else_is_looked_at() -> None:
    refused(checking.ok_only, answer(get("/"), b"no", status=503), "status 503")
