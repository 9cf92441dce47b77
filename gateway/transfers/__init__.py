"""Whole stores from and to elsewhere: folders and buckets, files that are stored, instances that are written.

uris      what names files: ``gs://``, ``s3://`` and ``file://``, and wildcards          forms     what an instance is written as
places    where files are: the protocol, who may go where, and threads around it        conveyor  many at once, one mark of how far
folders   buckets      the two kinds of places                                          storing   files into a store
importing exporting    the kinds of work that operations know                           choosing  instances in a stable order
"""
