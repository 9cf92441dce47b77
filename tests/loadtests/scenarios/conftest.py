"""locust is imported here as a library: it leaves the standard library alone when this variable is set."""

from __future__ import annotations

import os

os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"
