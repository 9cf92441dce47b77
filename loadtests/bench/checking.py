"""Whether a sample of the answers is what it has to be, so that nothing wrong is measured as fast.

A check gets an answer whose request is known, and raises `loadtests.checks.Mismatch`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import parse_qsl, urlsplit

from loadtests import checks
from loadtests.bench import objects
from loadtests.bench.client import Answer
from loadtests.bench.scene import Scene
from loadtests.checks import Mismatch
from loadtests.synthetic import Study

Check = Callable[[Scene, Sequence[Study], Answer], None]
"""From the scene, the studies that are held, and an answer."""

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG"


def stored(_: Scene, __: Sequence[Study], answer: Answer) -> None:
    """All that was sent is stored, and nothing failed."""
    assert isinstance(answer.ask.about, tuple)
    checks.stored(answer.body, answer.ask.about)


def whole_study(_: Scene, __: Sequence[Study], answer: Answer) -> None:
    """Each instance once, bit-identical, in whatever order."""
    found = checks.parts(answer.media, answer.body)
    checks.equal(len(found), objects.SLICES, "the number of instances")
    known = {b"".join(objects.scanned(index)) for index in range(objects.SLICES)}
    checks.equal(sum(part not in known for part in found), 0, "the number of instances that were never sent")
    checks.equal(len(set(found)), objects.SLICES, "the number of different instances")


def one_instance(_: Scene, __: Sequence[Study], answer: Answer) -> None:
    """Bit-identical."""
    expected = b"".join(objects.scanned(_index(answer)))
    checks.same_bytes(checks.sole_part(answer.media, answer.body), expected, "an instance")


def one_frame(_: Scene, __: Sequence[Study], answer: Answer) -> None:
    """Its pixels."""
    checks.same_bytes(checks.sole_part(answer.media, answer.body), objects.slices()[_index(answer) % objects.VARIANTS], "a frame")


def loop_frame(scene: Scene, _: Sequence[Study], answer: Answer) -> None:
    """The pixels of one of many."""
    number = int(_path(answer).rpartition("/")[2])
    expected = objects.loop(scene.frames).frame(0, number)
    checks.same_bytes(checks.sole_part(answer.media, answer.body), expected, "a frame")


def ok_only(_: Scene, __: Sequence[Study], answer: Answer) -> None:
    """For answers too large to be kept, whose length alone is looked at."""
    checks.expect_status(answer.status, (200,), answer.body)


def metadata(_: Scene, held: Sequence[Study], answer: Answer) -> None:
    """An object for each instance, with many attributes, those of equipment and acquisition among them."""
    uid = _path(answer).split("/")[3]
    expected = next(study for study in held if study.uid == uid)
    found = checks.matches(answer.status, answer.body)
    checks.same_uids((checks.value(one, "00080018") for one in found), expected.sop_uids(), "metadata")
    checks.value(found[0], "00181210")  # ConvolutionKernel: no index has it, so it came out of the header
    checks.value(found[0], "00400275")  # RequestAttributesSequence


def results(_: Scene, held: Sequence[Study], answer: Answer) -> None:
    """As many results as the studies that are held give."""
    checks.equal(len(checks.matches(answer.status, answer.body)), expected(held, _path(answer)), "the number of results")


def expected(held: Sequence[Study], path: str) -> int:
    """How many results a search has."""
    parts = urlsplit(path)
    asked = dict(parse_qsl(parts.query))
    found = len([study for study in held if _matches(study, asked)])
    below = parts.path.split("/")[3:]
    if below[-1:] == ["series"]:
        found = 1
    elif below[-1:] == ["instances"]:
        found = next(study.slices for study in held if study.uid == below[0])
    return max(0, min(int(asked["limit"]), found - int(asked.get("offset", "0"))))


def _matches(study: Study, asked: dict[str, str]) -> bool:
    first, _, last = asked.get("StudyDate", "00000000-99999999").partition("-")
    return (
        study.patient_id == asked.get("PatientID", study.patient_id)
        and study.patient_name.startswith(asked.get("PatientName", "*").removesuffix("*"))
        and first <= study.date <= last
    )


def picture(_: Scene, __: Sequence[Study], answer: Answer) -> None:
    """A JPEG or PNG, as was asked, and not an empty one."""
    wanted = _PNG if b"image/png" in answer.ask.head else _JPEG
    if not answer.body.startswith(wanted) or len(answer.body) < 4096:
        raise Mismatch(f"{len(answer.body)} bytes that are no picture of 512 x 512")


def same_as(documents: Sequence[bytes]) -> Check:
    """For peers that give files: one of these."""

    def check(_: Scene, __: Sequence[Study], answer: Answer) -> None:
        if answer.body not in documents:
            raise Mismatch(f"{len(answer.body)} bytes that are none of the documents")

    return check


def sunk(_: Scene, __: Sequence[Study], answer: Answer) -> None:
    """The sink counted what was sent."""
    checks.equal(answer.body, b"%d" % sum(map(len, answer.ask.body)), "the count of bytes")


def _path(answer: Answer) -> str:
    assert isinstance(answer.ask.about, str)
    return answer.ask.about


def _index(answer: Answer) -> int:
    """Of the instance that was asked for: the last digits of its UID."""
    return int(_path(answer).split("/instances/")[1].split("/")[0][-5:])
