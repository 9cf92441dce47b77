"""The benchmark: the gateway beside Orthanc, nginx and a bare aiohttp server, on the same studies, in one run.

    __main__     the command line            options    what can be chosen
    workloads    the table of what is measured, and the goals
    scene        the requests of each workload, and what has to be stored before     objects   the studies
    checking     whether answers are right
    peers        how servers are started     stage      which there are, and where   processes  CPU time and memory from outside
    bare_server  the floor of aiohttp
    client       sends requests              rounds     a run, turn by turn          passing    rows of `loadtests.passthrough`
    figures      samples, ratios, goals      report     table, Markdown, JSON        plots      pictures
    baseline     ratios of an earlier run, and what was lost since                   machine    what it ran on

Only ratios of one run count. docs/benchmark.md says how to run and to read it.
"""
