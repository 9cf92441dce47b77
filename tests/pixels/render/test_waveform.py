"""Curves: their values, and how they are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.data import get_testdata_file

from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.waveform import CHANNELS, GAIN, LINE, MARGIN, SCALE, SECONDS, SPEED, Channel, Group, groups_of, trace
from gateway.pixels.work import Undoable


def element(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


def recorded(samples: NDArray[Any], kind: str = "SS", rate: float = 100, padding: bytes = b"", **channel: Any) -> Attributes:
    """One group; keywords are elements of each of its channels."""
    group = {
        "003A0005": element("US", samples.shape[1]),
        "003A0010": element("UL", samples.shape[0]),
        "003A001A": element("DS", rate),
        "003A0200": element("SQ", *[channel for _ in range(samples.shape[1])]),
        "54001004": element("US", samples.dtype.itemsize * 8),
        "54001006": element("CS", kind),
        "54001010": {"vr": "OW", "BulkDataURI": "@/bulkdata/data"},
        "5400100A": {"vr": "OW", "BulkDataURI": "@/bulkdata/padding"},
    }
    return Attributes({"54000100": element("SQ", group)}, {"data": samples.tobytes(), "padding": padding})


def unit(code: str) -> dict[str, Any]:
    return element("SQ", {"00080100": element("SH", code)})


def only(data: Attributes) -> Channel:
    (group,) = groups_of(data)
    return group.channels[0]


STEPS = np.arange(-50, 50, dtype="<i2").reshape(50, 2)


def test_values_in_their_unit() -> None:
    said: dict[str, Any] = {
        "003A0210": element("DS", "2.5"),
        "003A0211": unit("uV"),
        "003A0212": element("DS", "2"),
        "003A0213": element("DS", "100"),
    }
    channel = only(recorded(STEPS, **said))
    assert channel.unit == "mV"
    assert np.allclose(channel.values, (STEPS[:, 0] * 5.0 + 100) / 1000)
    pressure = only(recorded(STEPS, **dict[str, Any]({"003A0210": element("DS", "0.5"), "003A0211": unit("mm[Hg]")})))
    assert (pressure.unit, pressure.values[0]) == ("mm[Hg]", -25.0)
    assert only(recorded(STEPS)).unit == ""


def test_labels() -> None:
    source: Any = element("SQ", {"00080104": element("LO", "Lead aVR")})
    assert only(recorded(STEPS, **dict[str, Any]({"003A0208": source}))).label == "aVR"
    assert only(recorded(STEPS, **dict[str, Any]({"003A0203": element("SH", "P1"), "003A0208": source}))).label == "P1"
    assert only(recorded(STEPS)).label == "channel 1"


@pytest.mark.parametrize(("kind", "dtype"), [("SB", "i1"), ("UB", "u1"), ("SS", "<i2"), ("US", "<u2"), ("SL", "<i4"), ("UL", "<u4")])
def test_samples_of_all_sizes(kind: str, dtype: str) -> None:
    samples = np.array([[1], [2], [100]], dtype)
    assert only(recorded(samples, kind)).values.tolist() == [1, 2, 100]


def test_companded_sound() -> None:
    """The ends and the middle of the scales of ITU-T G.711, tables 1a and 2a."""
    assert only(recorded(np.array([[0x80], [0x00], [0xFF], [0x7F]], "u1"), "MB")).values.tolist() == [8031, -8031, 0, 0]
    assert only(recorded(np.array([[0xAA], [0x2A], [0xD5], [0x55]], "u1"), "AB")).values.tolist() == [4032, -4032, 1, -1]


def test_padding_leaves_a_gap() -> None:
    values = only(recorded(np.array([[1], [-5], [3]], "<i2"), padding=b"\xfb\xff")).values
    assert np.isnan(values).tolist() == [False, True, False]


def test_only_the_beginning_of_what_is_long() -> None:
    (long,) = groups_of(recorded(np.zeros((3000, 2), "<i2")))
    assert long.cut
    assert long.seconds == SECONDS
    (wide,) = groups_of(recorded(np.zeros((10, CHANNELS + 1), "<i2")))
    assert (wide.cut, len(wide.channels)) == (True, CHANNELS)


@pytest.mark.parametrize("data", [recorded(STEPS, "XX"), recorded(STEPS, rate=0), recorded(STEPS[:1]), Attributes({})])
def test_nothing_to_draw(data: Attributes) -> None:
    with pytest.raises(Undoable):
        groups_of(data)


def test_a_millivolt_is_ten_millimetres_and_a_second_twenty_five() -> None:
    values = np.zeros(1000)
    values[400] = 1.0
    picture = trace([Group("", [Channel("I", "mV", values, 100)], False)])
    ink = picture.sum(axis=2) < 200
    left = MARGIN * SCALE
    column = left + 4 * SPEED * SCALE
    rows = np.flatnonzero(ink[:, column - 1 : column + 2].any(axis=1))
    height = rows.max() - rows.min()
    assert abs(height - GAIN * SCALE) <= 2
    pulse = np.flatnonzero(ink[rows.min() - 20 :, left - 5 * SCALE].astype(int))
    assert len(pulse)
    assert picture.shape[1] >= (MARGIN + SECONDS * SPEED) * SCALE


def test_other_units_get_a_scale_that_fits() -> None:
    values = 80 + 40 * np.sin(np.arange(1000) / 30)
    picture = trace([Group("", [Channel("P1", "mm[Hg]", values, 100)], False)])
    ink = np.flatnonzero((picture[:, MARGIN * SCALE + 20 :].sum(axis=2) < 200).sum(axis=1) > 5)
    assert LINE * SCALE / 4 < ink.max() - ink.min() <= LINE * SCALE + 80


def test_no_spike_is_lost() -> None:
    values = np.zeros(100_000)
    values[55_555] = 1.0
    picture = trace([Group("", [Channel("I", "mV", values, 10_000)], False)])
    column = int(MARGIN * SCALE + 5.5555 * SPEED * SCALE)
    ink = np.flatnonzero((picture[:, column - 1 : column + 2].sum(axis=2) < 200).any(axis=1))
    assert ink.max() - ink.min() >= GAIN * SCALE - 2


def test_nothing_known_and_infinite_values_are_drawn() -> None:
    for values in (np.full(50, np.nan), np.array([0.0, 1e300, -1e300, np.nan, 5.0])):
        assert trace([Group("", [Channel("I", "mV", values, 100), Channel("II", "", values, 100)], True)]).ndim == 3


def test_values_as_pydicom_reads_them() -> None:
    file = dcmread(str(get_testdata_file("waveform_ecg.dcm", download=False)))
    bulk = {f"54000100/{place}/54001010": item.WaveformData for place, item in enumerate(file.WaveformSequence)}
    data = file.to_json_dict(bulk_data_threshold=1, bulk_data_element_handler=lambda element: f"@/bulkdata/{element.tag}")
    for place, item in enumerate(data["54000100"]["Value"]):
        item["54001010"] = {"vr": "OW", "BulkDataURI": f"@/bulkdata/54000100/{place}/54001010"}
    groups = groups_of(Attributes(data, bulk))
    assert len(groups) == 2
    for number, group in enumerate(groups):
        microvolts = file.waveform_array(number)
        assert [one.label for one in group.channels][:4] == ["I", "II", "III", "aVR"]
        for place, channel in enumerate(group.channels):
            assert np.allclose(channel.values * 1000, microvolts[: len(channel.values), place])
