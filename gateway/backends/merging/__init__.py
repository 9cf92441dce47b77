"""Several backends as one: what a spool and a federation have in common."""
