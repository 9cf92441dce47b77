"""Load for any DICOMweb server.

    locustfile   the users: Modality stores studies, Viewer searches and reads them
    checks       what an answer must say; knows neither locust nor sockets
    synthetic    the studies: made up, cheap, and the same bytes for the same arguments
    headers      their encoded headers, where single values can be written over

Nothing here imports the gateway: a mistake in it must not hide itself from the load that checks it.
"""
