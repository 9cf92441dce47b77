"""Who loads a DICOMweb server, and with what; locustfile.py is the door that locust comes in by.

    hooks       what happens before, at the start and at the end of a run
    options     the command line                    tokens      the bearer token, from a file
    user        what all users share                hours       a day as shares of all users      shape  it, for locust
    modality  viewer  archive  day                  the users, one kind a file
    server      a base URL as one user sees it: asking, waiting when told to, counting
    stock       which studies of this run are in the store
    bodies      store requests as bytes             summary     the table at the end

`bodies`, `hours`, `options`, `stock`, `summary` and `tokens` do not import locust, for that replaces half of the standard
library by gevent's when it is imported: their tests run in the test process, and those of the others start one of its own.
"""
