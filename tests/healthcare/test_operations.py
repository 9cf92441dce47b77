from __future__ import annotations

from gateway.healthcare.operations import Counter, Operation

NAME = "projects/p/locations/l/datasets/d/operations/1"


def test_one_that_runs_says_how_far_it_is() -> None:
    found = Operation(NAME, "DeleteStudy", 0.0, counter=Counter(success=2**60, pending=3)).to_json()
    assert found == {
        "name": NAME,
        "metadata": {
            "@type": "type.googleapis.com/google.cloud.healthcare.v1.OperationMetadata",
            "apiMethodName": "DeleteStudy",
            "createTime": "1970-01-01T00:00:00.000000Z",
            "counter": {"success": str(2**60), "pending": "3"},
        },
    }


def test_one_that_ended_is_done_with_a_response_or_an_error() -> None:
    done = Operation(NAME, "m", 0.0, 1.0, response={"name": "x"}, response_type="a.B").to_json("v1beta1")
    assert done["done"] and done["response"] == {"@type": "type.googleapis.com/a.B", "name": "x"} and "error" not in done
    assert done["metadata"]["endTime"] == "1970-01-01T00:00:01.000000Z"
    assert done["metadata"]["@type"].endswith("google.cloud.healthcare.v1beta1.OperationMetadata")
    failed = Operation(NAME, "m", 0.0, 1.0, error={"code": 5, "message": "gone"}, cancelled=True).to_json()
    assert failed["error"] == {"code": 5, "message": "gone"} and "response" not in failed
    assert failed["metadata"]["cancelRequested"]
