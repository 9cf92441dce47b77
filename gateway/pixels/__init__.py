"""Pixels: decoded, encoded and drawn by processes of their own, which may crash, loop or eat their memory without hurting anybody else.

work       what is handed over and what comes back      image   what a data set says of its pixels
pool       the processes                                 process   what runs in one of them
The rooms below run in those processes only; they alone import numpy and the codecs.
"""
