"""Bytes of DICOM (PS3.5, PS3.10), without I/O; the tables are those of pydicom, read without importing it.

`elements` is the walk that the others share.
"""
