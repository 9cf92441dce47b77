"""Store and forward: what is stored is safe here, answered, and delivered in the background.

spooled      the Backend
routing      where an instance has to go
deliveries   the table of what has to be delivered, row by row
delivering   the one process that does it
sending      one batch to one destination, and what became of it
operating    what people do with it: list, retry, drop
"""
