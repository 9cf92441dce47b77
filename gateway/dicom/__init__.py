"""Bytes of DICOM (PS3.5, PS3.10), without I/O; the only room that knows pydicom. `elements` is the walk that the others share."""
