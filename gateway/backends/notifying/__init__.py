"""Telling others what was stored and deleted: a message to webhooks and Pub/Sub topics, at least once.

events       what is told: a change, and the message that it becomes
rows         the table of what has to be told, row by row
outbox       the file that it lies in: one thread a process, whose commits are shared
journal      what a store writes down before and after a change
notified     a backend around a backend: writes it down
resolving    what became of a change whose process died in the middle
sending      what every receiver has in common      webhooks  pubsub   the two kinds
delivering   the one process that sends
notifications  all of it, for whoever composes a gateway
"""
