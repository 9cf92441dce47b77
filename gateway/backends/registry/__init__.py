"""Datasets, stores and operations that callers make by API: what outlives a restart of them, and how their stores are found."""
