"""HTTP, one file per service of PS3.18. `routes` is the door."""
