"""The services below a store that the standard and Google's API have in common, under the same paths."""

from __future__ import annotations

from gateway.web import qido, rendered, stow, wado
from gateway.web.service import Route

STUDY = "/studies/{study}"
SERIES = STUDY + "/series/{series}"
INSTANCE = SERIES + "/instances/{instance}"
FRAMES = INSTANCE + "/frames/{frames}"

SHARED = (
    Route("POST", "/studies", "store", stow.store),
    Route("POST", STUDY, "store", stow.store),
    Route("GET", "/studies", "search", qido.search_studies),
    Route("GET", "/series", "search", qido.search_series),
    Route("GET", "/instances", "search", qido.search_instances),
    Route("GET", STUDY + "/series", "search", qido.search_series),
    Route("GET", STUDY + "/instances", "search", qido.search_instances),
    Route("GET", SERIES + "/instances", "search", qido.search_instances),
    Route("GET", STUDY, "retrieve", wado.retrieve_instances),
    Route("GET", SERIES, "retrieve", wado.retrieve_instances),
    Route("GET", INSTANCE, "retrieve", wado.retrieve_instances),
    Route("GET", STUDY + "/metadata", "metadata", wado.retrieve_metadata),
    Route("GET", SERIES + "/metadata", "metadata", wado.retrieve_metadata),
    Route("GET", INSTANCE + "/metadata", "metadata", wado.retrieve_metadata),
    Route("GET", FRAMES, "frames", wado.retrieve_frames),
    Route("GET", INSTANCE + "/rendered", "rendered", rendered.retrieve_rendered),
    Route("GET", FRAMES + "/rendered", "rendered", rendered.retrieve_rendered),
    Route("GET", INSTANCE + "/bulkdata/{bulk:.+}", "bulkdata", wado.retrieve_bulkdata),
)
