"""Origins: other DICOMweb servers behind a store."""
