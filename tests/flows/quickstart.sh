#!/bin/sh
# Google's quickstart for the Cloud Healthcare API and its guide "Using the DICOMweb standard", the DICOM parts, with curl.
#
#   quickstart.sh HOST FILE.dcm [STORE]
#
# HOST is https://healthcare.googleapis.com in the guide, and http://127.0.0.1:8080 for a gateway. FILE is an instance with pixels.
# STORE (projects/P/locations/L/datasets/D/dicomStores/S) is a store that exists already; without it one is made, and deleted.
# JPEG in the environment is a picture that is stored with metadata in JSON.
# TOKEN in the environment is sent as the guide sends it; VERSION is that of the API. Ends at the first answer that is not as it should be.
set -eu

HOST=$1 FILE=$2 STORE=${3:-}
VERSION=${VERSION:-v1}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

step() { printf -- '-- %s\n' "$1"; }

# The body of an answer; curl ends with 22 for a status of 400 and more, and so does this script.
call() {
    curl -sS --fail-with-body -H "Authorization: Bearer ${TOKEN:-nobody}" "$@"
}

# has TEXT FILE: whether an answer has a text.
has() {
    grep -qF -- "$1" "$2" || { printf 'not in the answer: %s\n' "$1" >&2; head -c 2000 "$2" >&2; exit 1; }
}

# uid TAG: the first value of an attribute of the first instance that is found.
uid() {
    tr -d ' \n' <"$WORK/instances" | sed 's/.*"'"$1"'":{[^}]*"Value":\["\([^"]*\)"\].*/\1/'
}

if [ -z "$STORE" ]; then
    LOCATION=projects/p/locations/us-central1
    DATASET=$LOCATION/datasets/quickstart-$$
    STORE=$DATASET/dicomStores/quickstart

    step "create a dataset"
    call -X POST -H "Content-Type: application/json; charset=utf-8" -d "" \
        "$HOST/$VERSION/$LOCATION/datasets?datasetId=${DATASET##*/}" >"$WORK/dataset"
    has '"name":' "$WORK/dataset"

    step "create a DICOM store"
    call -X POST -H "Content-Type: application/json; charset=utf-8" -d "" \
        "$HOST/$VERSION/$DATASET/dicomStores?dicomStoreId=quickstart" >"$WORK/store"
    has "$STORE" "$WORK/store"
fi
WEB=$HOST/$VERSION/$STORE/dicomWeb

step "store an instance"
call -X POST -H "Content-Type: application/dicom" "$WEB/studies" --data-binary "@$FILE" >"$WORK/stored"
has 'keyword="RetrieveURL"' "$WORK/stored"
has 'keyword="ReferencedSOPSequence"' "$WORK/stored"

step "look at it"
call "$WEB/instances" >"$WORK/instances"
STUDY=$(uid 0020000D) SERIES=$(uid 0020000E) SOP=$(uid 00080018)
INSTANCE=$WEB/studies/$STUDY/series/$SERIES/instances/$SOP
has "/$STORE/dicomWeb/studies/$STUDY" "$WORK/stored"

step "store it with a storage class"
call -X POST -H "Content-Type: application/dicom" -H "Storage-Class: STANDARD" "$WEB/studies" --data-binary "@$FILE" >"$WORK/again"

step "search"
call "$WEB/studies?StudyInstanceUID=$STUDY" >"$WORK/studies"
has "$STUDY" "$WORK/studies"
call "$WEB/studies?PatientName=Sally%20Zhang" >"$WORK/nobody"
test ! -s "$WORK/nobody"
if call "$WEB/studies?NoSuchAttribute=1" >"$WORK/unknown" 2>"$WORK/curl"; then exit 1; fi
has 'unknown/unsupported QIDO attribute: NoSuchAttribute' "$WORK/unknown"

step "retrieve a study"
call -H "Accept: multipart/related; type=application/dicom; transfer-syntax=*" "$WEB/studies/$STUDY" >"$WORK/study"
has "DICM" "$WORK/study"

step "retrieve an instance"
call -H "Accept: application/dicom; transfer-syntax=*" "$INSTANCE" >"$WORK/instance"
cmp "$FILE" "$WORK/instance"

step "retrieve a picture of it"
call -H "Accept: image/png" "$INSTANCE/rendered" >"$WORK/picture"
has "PNG" "$WORK/picture"

step "retrieve metadata"
call "$WEB/studies/$STUDY/metadata" >"$WORK/json"
has '"00080018"' "$WORK/json"
call -H 'Accept: multipart/related; type="application/dicom+xml"' "$WEB/studies/$STUDY/metadata" >"$WORK/xml"
has "NativeDicomModel" "$WORK/xml"

step "retrieve bulk data"
call -H "Accept: application/octet-stream; transfer-syntax=*" "$INSTANCE/bulkdata/7FE00010" >"$WORK/pixels"
test -s "$WORK/pixels"

if [ -n "${JPEG:-}" ]; then
    step "store metadata in JSON and a JPEG picture"
    printf -- '--DICOMwebBoundary\r\nContent-Type: application/dicom+json\r\n\r\n' >"$WORK/opening.file"
    cat >"$WORK/instance.json" <<'JSON'
[{
  "00020010": {"vr": "UI", "Value": ["1.2.840.10008.1.2.4.50"]},
  "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
  "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.7"]},
  "00080018": {"vr": "UI", "Value": ["1.2.276.1.50.3"]},
  "0020000D": {"vr": "UI", "Value": ["1.2.276.1.50.1"]},
  "0020000E": {"vr": "UI", "Value": ["1.2.276.1.50.2"]},
  "00280004": {"vr": "CS", "Value": ["YBR_FULL_422"]},
  "7FE00010": {"vr": "OB", "BulkDataURI": "jpeg-image"}
}]
JSON
    printf -- '\r\n--DICOMwebBoundary\r\nContent-Location: jpeg-image\r\nContent-Type: image/jpeg; %s\r\n\r\n' \
        "transfer-syntax=1.2.840.10008.1.2.4.50" >"$WORK/middle.file"
    printf -- '\r\n--DICOMwebBoundary--' >"$WORK/closing.file"
    (cd "$WORK" && cat opening.file instance.json middle.file) >"$WORK/multipart-request.file"
    cat "$JPEG" "$WORK/closing.file" >>"$WORK/multipart-request.file"
    call -X POST -H "Content-Type: multipart/related; type=\"application/dicom+json\"; boundary=DICOMwebBoundary" \
        "$WEB/studies" --data-binary "@$WORK/multipart-request.file" >"$WORK/composed"
    has "/studies/1.2.276.1.50.1/series/1.2.276.1.50.2/instances/1.2.276.1.50.3" "$WORK/composed"
    call -H "Accept: image/jpeg; transfer-syntax=*" \
        "$WEB/studies/1.2.276.1.50.1/series/1.2.276.1.50.2/instances/1.2.276.1.50.3/frames/1" >"$WORK/frame"
    head -c "$(wc -c <"$JPEG")" "$WORK/frame" | cmp "$JPEG" -
    call -X DELETE "$WEB/studies/1.2.276.1.50.1/series/1.2.276.1.50.2/instances/1.2.276.1.50.3" >"$WORK/composed"
fi

step "delete the study, and wait until it is done"
call -X DELETE "$WEB/studies/$STUDY" >"$WORK/begun"
OPERATION=$(tr -d ' \n' <"$WORK/begun" | sed 's/.*"name":"\([^"]*\)".*/\1/')
TRIES=0
until call "$HOST/$VERSION/$OPERATION" >"$WORK/operation" && tr -d ' ' <"$WORK/operation" | grep -q '"done":true'; do
    TRIES=$((TRIES + 1))
    test "$TRIES" -lt 100
    sleep 0.2
done
tr -d ' ' <"$WORK/operation" >"$WORK/ended"
has '"counter":{"success":"1"}' "$WORK/ended"
call "$WEB/studies" >"$WORK/left"
test ! -s "$WORK/left"

if [ -n "${DATASET:-}" ]; then
    step "clean up"
    call -X DELETE "$HOST/$VERSION/$DATASET" >"$WORK/deleted"
    test "$(tr -d ' \n' <"$WORK/deleted")" = "{}"
    if call "$HOST/$VERSION/$DATASET" >"$WORK/gone" 2>"$WORK/curl"; then exit 1; fi
    has '"NOT_FOUND"' "$WORK/gone"
fi
printf 'all as it should be\n'
