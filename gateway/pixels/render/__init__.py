"""One frame becomes a picture (PS3.4 N.2, PS3.18 8.3.5). docs/rendering.md tells what is done in which order, and what is not done.

picture     the work       wanted    what of a data set it needs     dataset   values of a data set
pipeline    the order      finishing   the way to a file
cells  padding  modality  voi (windows, defaults, statistics)  lookup     grey
palette  colour  icc                                              colour
overlays  viewport  aspect  annotations  writing                  what is drawn over it, its size, its file

What is more than one frame, or none, stands on these:
special (mosaic, placing, segments, waveform, card)   cine (moving, steady)   presented (presentation, graphics)

Works and what is pure (`picture`, `wanted`, `dataset`, `special`, `cine`, `presented`, `placing`) are for the gateway itself; the
others run in pixel processes.
"""
