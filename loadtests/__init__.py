"""Load for any DICOMweb server, and figures of this gateway beside others.

Load, with checks of every answer (`make load`):

    locustfile   the door for locust, and a page about all of it: `python -m loadtests.locustfile`
    scenarios/   the users: Modality stores, Viewer searches and reads, Archive moves whole studies, HospitalDay is a day of them
    checks       what an answer must say; knows neither locust nor sockets
    synthetic    the studies: made up, cheap, and the same bytes for the same arguments
    headers      their encoded headers, where single values can be written over

Figures:

    bench/       the gateway beside Orthanc, nginx and a bare aiohttp server      profiling/   where its CPU time goes in each workload
    scale/       searches among up to a million instances                        codecs       the decoders, one beside the other
    passthrough  what it costs in front of an origin (null_origin), beside a bare_proxy and nginx
    baseline.md  what came out

None of what makes load or checks answers imports the gateway: a mistake in it must not hide itself from them. Only `codecs` and
`scale` do, which measure its parts.
"""
