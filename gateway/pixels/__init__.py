"""Pixels: decoded, encoded and drawn by processes of their own, which may crash, loop or eat their memory without hurting anybody else.

work       what is handed over and what comes back      image    what a data set says of its pixels      limits   how much of it
pool       the processes, and the line before them      child    one of them, seen from the gateway
exchange   the messages between the two                 process  what runs in one of them
syntaxes   which frames can be read and written         conversion  what becomes of the image
instances  whole instances in another transfer syntax   plans    what is left to do of one, as the gateway checks it
headers    the data set around the pixels, anew         editing  byte for byte      icons    pictures inside it
recoding   frames as they lie in an instance
The rooms below run in those processes only; they alone import numpy and the codecs.
codestreams  headers, before anything is decoded        native    cells of uncompressed pixels           rle
decoding   frames -> arrays                             encoding  arrays -> frames                       transcode  both, as work
"""
