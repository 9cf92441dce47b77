"""Pixels in forms that nobody has stored: a `Backend` around a `Backend`, whatever that is.

    pictured     the Backend: what goes to the store behind, and what is made here
    negotiating  an Accept, one preference after another
    making       what is made, by view; stands behind a cache
    frames       frames in another transfer syntax        pipeline  several jobs ahead of the socket
    instances    whole instances in another transfer syntax                  selecting  and which of them gets which
    rendering    what is for people                       choosing  and in which form
        pictures (subject, motion, mosaics, tracing, states)  documents  videos (passing)     one thing that is shown
        several  thumbnails (ranking, slides)             many as one body, one for many
        studio   what drawing needs
    sources      what all of it is made of: questions to the store behind
    headers  listing  reading                             parsed headers, instances of a study, bodies as input

Rules:
1. What the store behind can give in the form that suits the caller best goes out as it always did, untouched.
2. What is made is remembered by everything it hangs on, and equal questions at the same time are answered by one job.
3. Nothing but this room and `gateway.pixels` knows that pixels can be had in other forms: stores hold bytes.
"""
