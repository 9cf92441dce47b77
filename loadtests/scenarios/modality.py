"""A scanner: it stores."""

from __future__ import annotations

from locust import task

from loadtests.scenarios.bodies import steps
from loadtests.scenarios.user import DicomwebUser


class Modality(DicomwebUser):
    """Stores one study after the other, --per-request instances in a request, and rests for --pause seconds after each."""

    weight = 2

    def wait_time(self) -> float:
        """Seconds until the next study."""
        return self.pause()

    @task
    def store_study(self) -> None:
        """A study may be asked for once all of it is stored."""
        study = self.stock.new()
        for slices in steps(study.slices, self.options.per_request):
            self.server.store("STOW instances", study, slices)
        self.stock.add(study)
