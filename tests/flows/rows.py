"""The table of matching rules: what is asked, what that finds among what is stored, and what it leaves.

Each line is a test at every level and in every backend, see `test_matching_rules`. Stored values are those of the first key's
attribute where nothing else is said; None is an instance without the attribute.
"""

from __future__ import annotations

from typing import Any

from tests.flows.rules import Row, refused, row

YAMADA = "Yamada^Tarou=山田^太郎=やまだ^たろう"
UID = "1.2.840.10008.1"
YES = "true"

TEXTS = [
    row("C.2.2.2", "PatientID", "P1", [{"PatientID": "P1", "AccessionNumber": "A1"}], ["P1"], AccessionNumber="A1"),
    row("C.2.2.2", "PatientID", "P1", ["P1", {"PatientID": "P1", "SpecificCharacterSet": "ISO_IR 100"}], SpecificCharacterSet="ISO_IR 6"),
    row("C.2.2.2", "StudyDescription", "Schädel", ["Schädel", {"SpecificCharacterSet": "ISO_IR 100", "StudyDescription": "Schädel"}]),
    row("C.2.2.2", "StudyDescription", "Ж*", [{"SpecificCharacterSet": "ISO_IR 144", "StudyDescription": "Живот"}], ["Zhivot"]),
    row(
        "C.2.2.2",
        "PatientName",
        "山田^太郎",
        [
            {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": YAMADA},
            {"SpecificCharacterSet": "GB18030", "PatientName": "=山田^太郎"},
        ],
        ["山田^次郎"],
    ),
    row("C.2.2.2", "AccessionNumber", "A123456789012345\\B123456789012345", ["A123456789012345", "B123456789012345"], ["A12345678901234"]),
    # One value
    row("C.2.2.2.1", "PatientID", "P1", ["P1"], ["p1", "P10", "XP1", "P 1", "", None]),
    row("C.2.2.2.1", "PatientID", " P1 ", ["P1", "P1  "], ["P 1"]),
    row("C.2.2.2.1", "StudyDescription", "Schädel", ["Schädel"], ["Schadel", "SCHÄDEL", "Scha\u0308del"]),
    row("C.2.2.2.1", "PerformedStationAETitle", "CT_ONE", ["CT_ONE"], ["ct_one", "CT_ONE2"]),
    row("C.2.2.2.1", "PatientAge", "031Y", ["031Y"], ["031M", "131Y"]),
    row("C.2.2.2.1", "PatientSex", "F", ["F"], ["M", "O", "", None]),
    row("C.2.2.2.1", "StudyID", "S'1\"%_[x]", ["S'1\"%_[x]"], ["S'1\"%_x", "S'1\"a_[x]"]),
    row("C.2.2.2.1", "InstitutionAddress", "Main Street 1", ["Main Street 1"], ["Main street 1"]),
    row("C.2.2.2.1", "PatientComments", "a\\b", ["a\\b"], ["a", "b"]),
    row("C.2.2.2.1", "LongCodeValue", "C-17", ["C-17"], ["c-17", "C-170"]),
    row("C.2.2.2.1", "CodingSchemeURL", "http://x.example/a,b", ["http://x.example/a,b"], ["http://x.example/a", "b"]),
    row("C.2.2.2.1", "TextValue", "one, two", ["one, two"], ["one", "two"]),
    row("C.2.2.2.1", "FrameOfReferenceUID", UID, [UID], [f"{UID}.1", f"{UID}1", None]),
    row("C.2.2.2.1", "FrameIncrementPointer", "00181063", [0x00181063], [0x00181065, None]),
    row("C.2.2.2.1", "InstanceNumber", "1\\3", ["1", "3"], ["2", "13"]),
    refused("C.2.2.2.1", "PixelData", "0"),
    # PN
    row("C.2.2.2.1.1", "PatientName", "doe^jane", ["Doe^Jane", "DOE^JANE", "Doe^Jane^^^"], ["Doe", "Doe^Jane^M", "Doe^Janet", "", None]),
    row("C.2.2.2.1.1", "PatientName", "Doe^Jane^^", ["Doe^Jane", "Doe^Jane^"], ["Doe^Jane^^Dr"]),
    row("C.2.2.2.1.1", "PatientName", "muller^jorg", ["Müller^Jörg", "MULLER^JORG", "Mu\u0308ller^Jo\u0308rg"], ["Mueller^Joerg"]),
    row("C.2.2.2.1.1", "PatientName", "MÜLLER^JÖRG", ["Müller^Jörg", "Muller^Jorg"], ["Miller^Jorg"]),
    row("C.2.2.2.1.1", "PatientName", "STRASSE", ["Straße", "strasse"], ["Strase"]),
    row("C.2.2.2.1.1", "PatientName", "σοφοσ", ["Σοφός", "ΣΟΦΟΣ"], ["Σοφή"]),
    row("C.2.2.2.1.1", "PatientName", "ヤマダ", ["ヤマダ", "ヤマタ\u3099"], ["ヤマタ"]),
    row("C.2.2.2.1.1", "PatientName", "かとう", ["かとう"], ["がとう"]),
    row("C.2.2.2.1.1", "PatientName", "yamada^tarou", [YAMADA, "Yamada^Tarou"], ["Yamada^Jirou=山田^太郎"]),
    row("C.2.2.2.1.1", "PatientName", "山田^太郎", [YAMADA, "=山田^太郎"], ["Yamada^Tarou=山田^次郎"]),
    row("C.2.2.2.1.1", "PatientName", "やまだ^たろう", [YAMADA, "==やまだ^たろう"], ["Yamada^Tarou"]),
    row("C.2.2.2.1.1", "PatientName", "YAMADA^TAROU=山田^太郎", ["Yamada^Tarou=山田^太郎", YAMADA], ["Yamada^Tarou", "=山田^太郎"]),
    row("C.2.2.2.1.1", "PatientName", "=山田^太郎", ["=山田^太郎"], ["Yamada^Tarou=山田^次郎", "Yamada^Tarou"]),
    row("C.2.2.2.1.1", "PatientName", "doe^jane\\roe^ann", ["Doe^Jane", "Roe^Ann"], ["Doe^Ann"]),
    row("C.2.2.2.1.1", "ReferringPhysicianName", "doe^jane", ["Doe^Jane"], ["Doe^Jan"]),
    row("C.2.2.2.1.1", "OperatorsName", "doe^jané", ["Doe^Jane", ["Roe^Ann", "DOE^JANE"]], ["Roe^Ann"]),
    # Characters of patterns inside values
    row("C.2.2.2.1.2", "PatientID", "P*", ["P*", "P1", "P"], ["p1", "XP"]),
    row("C.2.2.2.1.2", "PatientID", "P?", ["P?", "P1"], ["P", "P12"]),
    # Numbers
    row("C.2.2.2.1.4", "InstanceNumber", "7", ["7", "+7", "007"], ["70", "-7", "", None]),
    row("C.2.2.2.1.4", "InstanceNumber", "007", ["7"], ["70"]),
    row("C.2.2.2.1.4", "SliceThickness", "2.5", ["2.5", "2.50", "25e-1"], ["25", "2", None]),
    row("C.2.2.2.1.4", "SliceThickness", "0.25e1", ["2.5"], ["0.25"]),
    row("C.2.2.2.1.4", "Rows", "512", [512], [51, 5120]),
    row("C.2.2.2.1.4", "TIDOffset", "-7", [-7], [7]),
    row("C.2.2.2.1.4", "ReferencePixelX0", "-70000", [-70000], [70000]),
    row("C.2.2.2.1.4", "TransducerFrequency", "4000000000", [4_000_000_000], [1]),
    row("C.2.2.2.1.4", "EventTimeOffset", "0.1", [0.1], [0.2]),
    row("C.2.2.2.1.4", "ExaminedBodyThickness", "0.1", [0.1], [0.2]),
    row("C.2.2.2.1.4", "TotalNumberOfStudyRecords", "18446744073709551615", [2**64 - 1], [2**63]),
    refused("C.2.2.2.1.4", "InstanceNumber", "seven"),
    # Lists of UIDs
    row("C.2.2.2.2", "FrameOfReferenceUID", f"{UID}.1\\{UID}.2", [f"{UID}.1", f"{UID}.2"], [UID, f"{UID}.12"]),
    row("C.2.2.2.2", "FrameOfReferenceUID", f"{UID}.1,{UID}.2", [f"{UID}.1", f"{UID}.2"], [UID, f"{UID}.12"]),
    row("C.2.2.2.2", "FrameOfReferenceUID", f"{UID}.1, {UID}.2,", [f"{UID}.1", f"{UID}.2"], [UID, None]),
    row("C.2.2.2.2", "RelatedGeneralSOPClassUID", f"{UID}.1\\{UID}.2", [[UID, f"{UID}.2"], f"{UID}.1"], [UID, [UID, f"{UID}.3"]]),
    refused("C.2.2.2.2", "FrameOfReferenceUID", "1.2\\one"),
    # Whatever there is
    row("C.2.2.2.3", "PatientID", "", ["P1", "", None]),
    row("C.2.2.2.3", "PatientName", "*", ["Doe^Jane", "", None]),
    row("C.2.2.2.3", "PatientName", "**", ["Doe^Jane", "", None]),
    row("C.2.2.2.3", "StudyDate", "", ["20240131", "", None]),
    row("C.2.2.2.3", "StudyDate", "*", ["20240131", "", None]),
    row("C.2.2.2.3", "FrameOfReferenceUID", "*", [UID, None]),
    row("C.2.2.2.3", "RequestAttributesSequence", "", [{"RequestAttributesSequence": [{"RequestedProcedureID": "R1"}]}, None]),
    row("C.2.2.2.3", "00091001", "", [{"00090010": "ACME", "00091001": "x"}, {}]),
    # Patterns
    row("C.2.2.2.4", "PatientID", "P*1", ["P1", "P11", "P*1", "P x 1"], ["P12", "p1", ""]),
    row("C.2.2.2.4", "PatientID", "P?1", ["P11", "Pä1", "P😀1"], ["P1", "P111"]),
    row("C.2.2.2.4", "PatientID", "*", ["P1", "", None]),
    row("C.2.2.2.4", "PatientID", "?*", ["P1"], ["", None]),
    row("C.2.2.2.4", "PatientID", "[Pp]%_*", ["[Pp]%_x"], ["P%_x", "[Pp]xyx"]),
    row("C.2.2.2.4", "AccessionNumber", "ABC?", ["ABCD"], ["ABC", "ABC "]),
    row("C.2.2.2.4", "PerformedStationAETitle", "CT_*", ["CT_ONE"], ["ct_one", "CT1"]),
    row("C.2.2.2.4", "BodyPartExamined", "?HE*", ["CHEST"], ["HEAD", None]),
    row("C.2.2.2.4", "InstitutionAddress", "*Street*", ["Main Street 1"], ["Main street 1"]),
    row("C.2.2.2.4", "PatientComments", "first*last", ["first, last", "first\r\nlast"], ["first"]),
    row("C.2.2.2.4", "LongCodeValue", "C-*", ["C-17"], ["c-17"]),
    row("C.2.2.2.4", "CodingSchemeURL", "http://?.example/*", ["http://x.example/a"], ["http://xy.example/a"]),
    row("C.2.2.2.4", "TextValue", "*a\\b*", ["xa\\by"], ["a", "xay"]),
    row("C.2.2.2.4", "PatientName", "doe*", ["Doe^Jane", "DÖE", "Doe=山田"], ["Roe^Doe"]),
    row("C.2.2.2.4", "PatientName", "*MÜLL?R*", ["von Muller^Jörg", "Müllér"], ["Mueller"]),
    row("C.2.2.2.4", "PatientName", "*tarou", [YAMADA, "Tarou"], ["Tarou^Yamada"]),
    row("C.2.2.2.4", "PatientName", "*山田*", [YAMADA, "=山田"], ["Yamada"]),
    row("C.2.2.2.4", "ReferringPhysicianName", "d?e*", ["Doe^Jane"], ["Dooe^Jane"]),
    refused("C.2.2.2.4", "StudyDate", "2024*"),
    refused("C.2.2.2.4", "StudyTime", "10??"),
    refused("C.2.2.2.4", "FrameOfReferenceUID", "1.2.*"),
    refused("C.2.2.2.4", "InstanceNumber", "1*"),
]  # fmt: skip


def days(*dates: str) -> list[dict[str, str]]:
    """Study dates and times: ``20060705 1000``."""
    return [dict(zip(("StudyDate", "StudyTime"), text.split(), strict=True)) for text in dates]


def steps(*dates: str) -> list[dict[str, str]]:
    names = ("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime")
    return [dict(zip(names, text.split(), strict=True)) for text in dates]


MOMENTS = [
    row("C.2.2.2.1.3", "StudyDate", "20240131", ["20240131"], ["20240130", "", None]),
    row("C.2.2.2.1.3", "StudyTime", "2230", ["2230", "223000", "223059.5"], ["2231", "222959", None]),
    row("C.2.2.2.1.3", "StudyTime", "223000", ["2230", "223000", "223000.000000"], ["223001"]),
    row("C.2.2.2.1.3", "StudyTime", "223000.5", ["223000.5", "223000.500000"], ["223000", "223000.05"]),
    row("C.2.2.2.1.3", "AcquisitionDateTime", "20240131103000.0000", ["20240131103000", "20240131103000.000"], ["20240131103001"]),
    row("C.2.2.2.1.3", "AcquisitionDateTime", "20240131", ["20240131", "20240131103000"], ["20240201", "20240130235959", None]),
    row(
        "C.2.2.2.1.3",
        "AcquisitionDateTime",
        "20240131083000+0000",
        ["20240131103000+0200", "20240131053000-0300"],
        ["20240131103000+0100"],
    ),
    row("C.2.2.2.1.3", "AcquisitionDateTime", "20240131053000-0300", ["20240131083000+0000"], ["20240131053000+0300"]),
    refused("C.2.2.2.1.3", "StudyDate", "31.1.2024"),
    refused("C.2.2.2.1.3", "StudyTime", "half past ten"),
    refused("C.2.2.2.1.3", "AcquisitionDateTime", "2024-01-31T10:30"),
    # Dates
    row("C.2.2.2.5.1", "StudyDate", "20240101-20240131", ["20240101", "20240115", "20240131"], ["20231231", "20240201", "", None]),
    row("C.2.2.2.5.1", "StudyDate", "20240101-", ["20240101", "20991231"], ["20231231", "", None]),
    row("C.2.2.2.5.1", "StudyDate", "-20240131", ["19700101", "20240131"], ["20240201", "", None]),
    row("C.2.2.2.5.1", "StudyDate", "20240131-20240131", ["20240131"], ["20240130", "20240201"]),
    row("C.2.2.2.5.1", "PatientBirthDate", "19700101-19701231", ["19700101"], ["19710101", None]),
    row("C.2.2.2.5.1", "ContentDate", "20240101-", ["20240101", "20240102"], ["20231231"]),
    refused("C.2.2.2.5.1", "StudyDate", "-"),
    refused("C.2.2.2.5.1", "StudyDate", "20240101-20240131-"),
    # Times
    row("C.2.2.2.5.2", "StudyTime", "1000-1800", ["10", "1000", "120000", "180059.999999"], ["095959.999999", "1801", "", None]),
    row("C.2.2.2.5.2", "StudyTime", "10-", ["1000", "235959.999999"], ["095959", None]),
    row("C.2.2.2.5.2", "StudyTime", "-10", ["00", "000000", "105959.999999"], ["1100", None]),
    row("C.2.2.2.5.2", "StudyTime", "103015.5-103015.6", ["103015.5", "103015.55"], ["103015.49", "103015.7"]),
    row("C.2.2.2.5.2", "StudyTime", "22-02", [], ["23", "01", "12"]),
    row("C.2.2.2.5.2", "ContentTime", "1000-1030", ["1000", "103059"], ["0959", "1031"]),
    refused("C.2.2.2.5.2", "StudyTime", "-"),
    # Moments
    row(
        "C.2.2.2.5.3",
        "AcquisitionDateTime",
        "20240101-20240131",
        ["20240101", "20240115103000", "20240131235959.999999"],
        ["20231231235959", "20240201000000", "", None],
    ),
    row("C.2.2.2.5.3", "AcquisitionDateTime", "202401-202402", ["20240101000000", "20240229235959"], ["20231231", "20240301"]),
    row("C.2.2.2.5.3", "AcquisitionDateTime", "2023-2024", ["20230101", "20241231235959"], ["2022", "2025"]),
    row("C.2.2.2.5.3", "AcquisitionDateTime", "2024013110-", ["20240131100000", "2025"], ["20240131095959"]),
    row("C.2.2.2.5.3", "AcquisitionDateTime", "-2024013110", ["20240131105959", "2023"], ["20240131110000"]),
    row(
        "C.2.2.2.5.3",
        "AcquisitionDateTime",
        "20240131080000+0000-20240131090000+0000",
        ["20240131103000+0200", "20240131083000+0000", "20240131033000-0500"],
        ["20240131083000+0200", "20240131083000-0500"],
    ),
    row("C.2.2.2.5.3", "AcquisitionDateTime", "20240131030000-0500-20240131040000-0500", ["20240131083000+0000"], ["20240131033000+0000"]),
    row("C.2.2.2.5.3", "AcquisitionDateTime", "20240131030000-0500-", ["20240131083000+0000"], ["20240131073000+0000"]),
    row("C.2.2.2.5.3", "AcquisitionDateTime", "-20240131030000-0500", ["20240131073000+0000"], ["20240131083000+0000"]),
    refused("C.2.2.2.5.3", "AcquisitionDateTime", "-"),
    # Dates with times: the example of the standard, and what it leaves out
    row(
        "C.2.2.2.5.4",
        "StudyDate",
        "20060705-20060707",
        days("20060705 1000", "20060706 0300", "20060706 2300", "20060707 180059"),
        days("20060705 0959", "20060707 1801", "20060704 1200", "20060708 1200"),
        StudyTime="1000-1800",
    ),
    row("C.2.2.2.5.4", "StudyDate", "20060705-", days("20060705 1000", "20060706 0300"), days("20060705 0900"), StudyTime="1000-"),
    row("C.2.2.2.5.4", "StudyDate", "-20060707", days("20060706 2300", "20060707 1759"), days("20060707 1900"), StudyTime="-1800"),
    row(
        "C.2.2.2.5.4",
        "StudyDate",
        "20060705",
        days("20060705 1000", "20060705 1800"),
        days("20060705 0900", "20060706 1200"),
        StudyTime="1000-1800",
    ),
    row("C.2.2.2.5.4", "StudyDate", "20060705-20060707", days("20060706 1000"), days("20060706 1001", "20060708 1000"), StudyTime="100000"),
    row(
        "C.2.2.2.5.4",
        "PerformedProcedureStepStartDate",
        "20060705-20060707",
        steps("20060705 1000", "20060706 0300", "20060707 1800"),
        steps("20060705 0959", "20060707 1801"),
        PerformedProcedureStepStartTime="1000-1800",
    ),
    row("C.2.2.2.5.4", "PatientID", "1-5", ["1-5"], ["3"]),
    refused("C.2.2.2.5.4", "InstanceNumber", "1-5"),
]  # fmt: skip


def requested(*items: dict[str, Any]) -> dict[str, Any]:
    return {"RequestAttributesSequence": [*items]}


STEP = "RequestAttributesSequence.ScheduledProcedureStepID"
CODE = "RequestAttributesSequence.ScheduledProtocolCodeSequence.CodeValue"

A1 = {"ScheduledProcedureStepID": "A", "RequestedProcedureID": "1"}
B2 = {"ScheduledProcedureStepID": "B", "RequestedProcedureID": "2"}
A2 = {"ScheduledProcedureStepID": "A", "RequestedProcedureID": "2"}


def coded(*codes: tuple[str, str]) -> dict[str, Any]:
    """An item with a sequence of codes inside."""
    return {"ScheduledProtocolCodeSequence": [{"CodeValue": code, "CodingSchemeDesignator": scheme} for code, scheme in codes]}


SEQUENCES = [
    row("C.2.2.2.6", STEP, "A", [requested(A1), requested(B2, A1)], [requested(B2), {}, {"ScheduledProcedureStepID": "A"}]),
    row("C.2.2.2.6", "00400275.00400009", "A", [requested(A1)], [requested(B2)]),
    row("C.2.2.2.6", "RequestAttributesSequence.00400009", "A", [requested(A1)], [requested(B2)]),
    row("C.2.2.2.6", STEP, "?*", [requested(A1)], [requested({"RequestedProcedureID": "1"}), {}]),
    row(
        "C.2.2.2.6",
        STEP,
        "A",
        [requested(A2), requested(A1, A2)],
        [requested(A1, B2), requested(A1), requested(B2)],
        RequestAttributesSequence_RequestedProcedureID="2",
    ),
    row(
        "C.2.2.2.6",
        CODE,
        "T1",
        [requested(coded(("T1", "X"))), requested(coded(("T2", "X")), coded(("T3", "X"), ("T1", "Y")))],
        [requested(coded(("T2", "X")))],
    ),
    row(
        "C.2.2.2.6",
        CODE,
        "T1",
        [requested(coded(("T2", "X"), ("T1", "Y")))],
        [requested(coded(("T1", "X"), ("T2", "Y"))), requested(coded(("T1", "X")), coded(("T2", "Y")))],
        RequestAttributesSequence_ScheduledProtocolCodeSequence_CodingSchemeDesignator="Y",
    ),
    row(
        "C.2.2.2.6",
        "ReferencedStudySequence.ReferencedSOPInstanceUID",
        f"{UID}.1,{UID}.2",
        [{"ReferencedStudySequence": [{"ReferencedSOPInstanceUID": f"{UID}.2"}]}],
        [{"ReferencedStudySequence": [{"ReferencedSOPInstanceUID": f"{UID}.3"}]}, {}],
    ),
    row(
        "C.2.2.2.6",
        "OriginalAttributesSequence.AttributeModificationDateTime",
        "20240101-",
        [{"OriginalAttributesSequence": [{"AttributeModificationDateTime": "20240131103000"}]}],
        [{"OriginalAttributesSequence": [{"AttributeModificationDateTime": "20231231"}]}, {}],
    ),
    row(
        "C.2.2.2.6",
        "RequestAttributesSequence.RequestingPhysician",
        "müller*",
        [requested({"RequestingPhysician": "MULLER^Jörg"})],
        [requested({"RequestingPhysician": "Doe"})],
    ),
    row("C.2.2.2.6", STEP, "", [requested(A1), {}]),
    row("C.2.2.2.6", "RequestAttributesSequence", "", [requested(A1), {}]),
    refused("C.2.2.2.6", "RequestAttributesSequence", "A"),
]  # fmt: skip

OPTIONS = [
    # Empty values
    row("C.2.2.2.7", "PatientID", '""', ["", None], ["P1", "0"], emptyvaluematching=YES),
    row("C.2.2.2.7", "PatientName", '""', ["", None], ["Doe^Jane"], emptyvaluematching=YES),
    row("C.2.2.2.7", "StudyDate", '""', ["", None], ["20240131"], emptyvaluematching=YES),
    row("C.2.2.2.7", "StudyTime", '""', ["", None], ["1030"], emptyvaluematching=YES),
    row("C.2.2.2.7", "AcquisitionDateTime", '""', ["", None], ["20240131"], emptyvaluematching=YES),
    row("C.2.2.2.7", "TextValue", '""', ["", None], ["x"], emptyvaluematching=YES),
    row("C.2.2.2.7", "PatientID", "P1", ["P1"], ["", None], emptyvaluematching=YES),
    row("8.3.4.5", "PatientID", '""', ['""'], ["", None, "P1"]),
    row("8.3.4.5", "PatientID", '""', ['""'], ["", None, "P1"], emptyvaluematching="false"),
    refused("8.3.4.5", "StudyDate", '""'),
    # Several values
    row(
        "C.2.2.2.8",
        "ImageType",
        "PRIMARY\\ORIGINAL",
        [["ORIGINAL", "PRIMARY"], ["ORIGINAL", "PRIMARY", "AXIAL"]],
        [["DERIVED", "PRIMARY"], ["ORIGINAL", "SECONDARY"], None],
        multiplevaluematching=YES,
    ),
    row("C.2.2.2.8", "Allergies", "nuts\\dust", [["dust", "nuts"]], ["nuts", ["Nuts", "Dust"]], multiplevaluematching=YES),
    row("C.2.2.2.8", "OperatorsName", "doe\\roe", [["Roe", "Poe", "Doe"]], ["Doe", ["Poe", "Roe"]], multiplevaluematching=YES),
    row("8.3.4.6", "BodyPartExamined", "HEAD,CHEST", ["HEAD", "CHEST"], ["NECK", None]),
    row("8.3.4.6", "PatientID", "A,B", ["A,B"], ["A", "B"]),
    row("8.3.4.6", "StudyDate", "20240101\\20240131", ["20240101", "20240131"], ["20240115"]),
    row("8.3.4.6", "Allergies", "nuts\\dust", ["nuts", "dust", ["dust", "x"]], ["x", None]),
    row("8.3.4.6", "Allergies", "nuts\\dust", ["nuts", "dust", ["dust", "x"]], ["x", None], multiplevaluematching="false"),
    row("C.2.2.3", "ImageType", "PRIMARY", [["ORIGINAL", "PRIMARY"], ["DERIVED", "PRIMARY", "AXIAL"]], [["ORIGINAL", "SECONDARY"]]),
    row("C.2.2.3", "ImageType", "AX*", [["ORIGINAL", "PRIMARY", "AXIAL"]], [["ORIGINAL", "PRIMARY"]]),
    row("C.2.2.3", "OtherPatientNames", "roe*", [["Doe", "Roe^Ann"]], [["Doe", "Poe"]]),
    row("C.2.2.3", "ImagePositionPatient", "2.5", [["0", "2.50", "-1"]], [["0", "25", "-1"]]),
    row("C.2.2.3", "DateOfLastCalibration", "20240101-20240131", [["20230101", "20240115"]], [["20230101", "20240301"]]),
    # Names and tags
    row("8.3.1", "PatientID", "P1", ["P1"], ["P2"], patientid="P2", Nonsense="x", PatientId="P2"),
    row("8.3.1", "PatientID", "P1", ["P1"], alt="json", key="k", access_token="t", prettyPrint="false"),
    refused("8.3.1", "PatientID", "P1", limit="many"),
    refused("8.3.1", "PatientID", "P1", fuzzymatching="perhaps"),
    refused("8.3.1", "PatientID", "P1\0"),
    row("8.3.4.1", "00100020", "P1", [{"PatientID": "P1"}], [{"PatientID": "P2"}]),
    row("8.3.4.1", "0008103e", "head", [{"SeriesDescription": "head"}], [{"SeriesDescription": "foot"}]),
    row("8.3.4.1", "00091001", "x", [{"00090010": "ACME", "00091001": "x"}], [{"00090010": "ACME", "00091001": "y"}, {}]),
    row(
        "8.3.4.1",
        "00091001",
        "x",
        [{"00090010": "ACME", "00091001": "x"}],
        [{"00090010": "OTHER", "00091001": "x"}],
        **{"00090010": "ACME"},
    ),
    row("8.3.4.1", "00091002", "7", [{"00090010": "ACME", "00091002 DS": "7"}], [{"00090010": "ACME", "00091002 DS": "70"}]),
    row("8.3.4.1", "PatientID", "P*", ["P1"], ["P2", "X1"], **{"00100020": "*1"}),
    row("8.3.4.1", "PatientID", "P&1=,#[2]", ["P&1=,#[2]"], ["P"]),
    # Times of day in a place
    row("8.3.4.1.1", "PatientID", "P1", ["P1"], ["P2"], TimezoneOffsetFromUTC="+0100"),
    row(
        "8.3.4.1.1",
        "AcquisitionDateTime",
        "20240131103000",
        ["20240131083000+0000", "20240131103000+0200"],
        ["20240131103000+0000"],
        TimezoneOffsetFromUTC="+0200",
    ),
    # Fuzzy names
    row("8.3.4.2", "PatientName", "jan", ["Doe^Jane", "JANSSEN^Piet", "Roe^Mary Jane", "Jan"], ["Doe^Anjan", "", None], fuzzymatching=YES),
    row("8.3.4.2", "PatientName", "smith mary", ["Smith^Mary", "Mary^Smith", "Smithson^Ann", "Roe^Mary"], ["Roe^Ann"], fuzzymatching=YES),
    row("8.3.4.2", "PatientName", "MUL^JÖ", ["Müller^Jörg", "Muller^Ann", "Doe^Jo"], ["Doe^Ann"], fuzzymatching=YES),
    row("8.3.4.2", "PatientName", "太", [YAMADA], ["Yamada=山田"], fuzzymatching=YES),
    row("8.3.4.2", "PatientName", "*an*", ["Doe^Jane", "Doe^Anjan"], ["Doe^Mary"], fuzzymatching=YES),
    row("8.3.4.2", "PatientName", "", ["Doe^Jane", "", None], fuzzymatching=YES),
    row("8.3.4.2", "ReferringPhysicianName", "jan", ["Doe^Jane"], ["Doe^Anjan"], fuzzymatching=YES),
    row("8.3.4.2", "PatientID", "P", ["P"], ["P1"], fuzzymatching=YES),
    row("8.3.4.2", "PatientName", "jan", ["Jan"], ["Doe^Jane", "Jane"], fuzzymatching="false"),
]  # fmt: skip

ROWS: list[Row] = [*TEXTS, *MOMENTS, *SEQUENCES, *OPTIONS]
