"""What all users share: the server under load, the options, and the stock of studies."""

from __future__ import annotations

import argparse
import time

from locust import FastHttpUser
from locust.env import Environment
from locust.exception import RescheduleTask

from loadtests.scenarios.server import Server
from loadtests.scenarios.stock import Stock
from loadtests.scenarios.tokens import Token
from loadtests.synthetic import Study

EMPTY_WAIT = 0.5  # seconds between two looks for a first study


class DicomwebUser(FastHttpUser):
    """A user of one server; the kinds of them say what they do there."""

    abstract = True
    host = "http://127.0.0.1:8080/dicom-web"
    insecure = False  # the token goes only to a server that is who it claims to be
    max_redirects = 0  # and not to wherever that server points
    stock: Stock  # one for all users of this process, from hooks.begin

    def __init__(self, environment: Environment) -> None:
        self.host = (environment.host or self.host).rstrip("/")
        super().__init__(environment)
        self.options = options_of(environment)
        self.server = Server(self.client, Token.of_host(self.options.token_file))

    def pause(self) -> float:
        """Seconds that --pause names."""
        return float(self.options.pause)

    def some_study(self) -> Study:
        """A study that is whole in the store.

        :raises RescheduleTask: while there is none, after a short wait.
        """
        if (study := self.stock.any()) is None:
            time.sleep(EMPTY_WAIT)
            raise RescheduleTask
        return study


def options_of(environment: Environment) -> argparse.Namespace:
    """What the command line said."""
    options = environment.parsed_options
    assert isinstance(options, argparse.Namespace)  # anything else only when locust is used as a library
    return options
