"""The embedded store: files and SQLite. `store` is the door."""
