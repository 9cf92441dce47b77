"""Messages of the Cloud Healthcare API, beside those of PS3.18 in `dicomweb`: names, resources, operations, errors. No I/O."""
