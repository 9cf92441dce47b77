"""What some origins do not let the gateway promise: tests of the contract suite that are not run over them, and why.

`test_contract_exceptions` shows each of them by a direct request, and what the gateway makes of it. The list is as short as it
honestly can be: what an origin lacks is filled in where somebody knows it.
"""

from __future__ import annotations

from collections.abc import Mapping

_FORGETS = "the origin does not remember what it deleted: 404 instead of 410"
_UNCOUNTED = "the origin does not say how many more there are, so neither do we"
_UNDATED = "the origin gives no validators, and nobody reads a whole instance to make some before its first byte goes out"
_OWN_ORDER = "the origin has an order of its own"
_UNFOLDED = "the origin finds names by their letters, accents included"

_ORIGINS = {
    "test_a_body_says_how_many_instances_it_holds": "bodies pass unopened, and the origin does not say",
    "test_a_search_says_when_the_store_last_changed": "the origin does not say",
    "test_an_empty_page_says_how_many_there_are": _UNCOUNTED,
    "test_an_upload_may_replace_whatever_the_rule_is": "STOW-RS has no word for it; the origin goes by its own rule",
    "test_every_body_has_validators": _UNDATED,
    "test_names_are_matched_without_regard_to_accents": _UNFOLDED,
    "test_pages_count_what_is_left": _UNCOUNTED,
    "test_results_come_in_the_order_in_which_they_were_stored": _OWN_ORDER,
    "test_what_is_said_of_a_study_holds_for_all_its_instances": "where they are at odds, each instance speaks for itself",
    "test_what_was_deleted_is_known_to_be_gone": _FORGETS,
}

_ORTHANC = _ORIGINS | {
    "test_bulk_data_comes_in_the_order_of_the_metadata": "the origin has one order for metadata and another one for instances",
    "test_concurrent_stores_of_one_instance_agree": "the origin says of other bytes that they are stored, and keeps the first",
    "test_instances_show_their_transfer_syntax_unasked": "searches of the origin never show it; who asks gets it, by two more calls",
    "test_metadata_of_every_form_is_the_data_set[extended offset table]": "the origin's metadata leaves the table out",
    "test_other_bytes_under_the_same_uids_are_rejected_by_default": "the origin says that they are stored, and keeps the first",
    "test_skip_keeps_the_first_version_and_says_so": "it keeps the first, and does not say so",
    "test_the_earliest_that_is_left_speaks_for_its_study": "the origin finds it by what the deleted one said",
    "test_the_parts_of_a_study_come_in_the_order_in_which_they_were_stored": _OWN_ORDER,
    "test_two_versions_in_one_request_obey_the_same_rule": "the origin says of both that they are stored, and keeps the first",
}

_GOOGLE = _ORIGINS | {
    "test_a_replaced_instance_gives_its_new_values": "the origin replaces nothing",
    "test_a_store_that_is_made_anew_has_new_tags": "the origin replaces nothing",
    "test_replace_takes_the_second_version_and_its_attributes": "the origin replaces nothing",
    "test_skip_keeps_the_first_version_and_says_so": "the origin refuses the second one",
    "test_validators_change_with_the_instance": "the origin replaces nothing",
    "[no meta]": "the origin takes files of PS3.10 alone",
    "[no preamble]": "the origin takes files of PS3.10 alone",
}

EXCEPTIONS: Mapping[str, Mapping[str, str]] = {
    "orthanc": _ORTHANC,
    "cached-orthanc": _ORTHANC,
    "pictured-orthanc": _ORTHANC,
    "google": _GOOGLE,
}
"""By kind (`kinds`): the reason by the name of a test, by that and one case of it, or by a case of any test."""


def excepted(kind: str, test: str, case: str) -> bool:
    """Whether a case of a test is not run over a kind."""
    return bool({test, f"{test}[{case}]", f"[{case}]"} & EXCEPTIONS.get(kind, {}).keys())
