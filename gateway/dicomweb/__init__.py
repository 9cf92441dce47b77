"""Messages of DICOMweb (PS3.18), without I/O and without bytes of DICOM."""
