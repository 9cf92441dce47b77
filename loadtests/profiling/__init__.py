"""Where the gateway's CPU time goes in each workload of the benchmark: `python -m loadtests.profiling --help`."""
