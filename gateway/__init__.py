"""A DICOMweb gateway: the map of the house.

    cli  config  sections/  cgroup  hints  toml   what is asked for
    server  supervisor  listening  ...     processes, signals, sockets
    app  opening  opening_*                settings -> stores -> web application
    web/        HTTP, one file per service of PS3.18
        routes  shared_routes   every URL
        middleware   what surrounds each request    mishaps   errors on purpose
        stow  qido  wado  rendered  wado_uri  health
        composing  metadataparts  bulkparts  assembling   a store of metadata and bulk data
        status  statuspage  figures  viewer   pages for people
        documents  conditional  encoding  compression  kept   a JSON or XML document as an answer
        healthcare*  the Cloud Healthcare API       relaying  rewriting   what is bound to the real one passes through
        capabilities  wadl  openapi  description  parameters   what the routes say of themselves
        public_url   scheme, host and prefix that the client sees
        sending      a body onto the socket by the cheapest way    reframing   as dcmweb reads it
    transfers/  whole stores from and to folders and buckets
    streams     socket chunks -> multipart scanner -> header peek -> Upload
    backends/   where instances rest
        base         the protocol and its values        memory   the reference
        representations  views  bulk  parts  documents  validators  what backends that hold bytes have in common:
        results  needs  evaluate                                bodies, and answers to searches
        local/       files + SQLite
        upstream/    an origin that speaks DICOMweb: client, profiles, what is filled in
        cached/      a backend around a backend: remembers, and asks once for many
        pictured/    a backend around a backend: pixels in other transfer syntaxes, and as pictures
        spool/       a local store that delivers to others
        notifying/   a backend around a backend: others are told what is stored and deleted
        relays  leases  projects that are bound to the real Cloud Healthcare API, and backends that are open while they are used
        federation   several stores as one              merging/    what it shares with the spool
        caller       who asks, for origins that want to know    sqlite  locks   what rooms that keep something share
    pixels/     decoded, encoded and drawn by processes of their own
        pool  child  exchange              the processes, and how work reaches them     process   what runs in one
        work  image  limits                what is handed over                          the rest runs there only
    metrics  logs                          what can be seen from outside
    ---- below this line nothing does I/O, or knows asyncio, aiohttp, sqlite3 or metrics ----
    dicomweb/   messages of PS3.18: resources, media, multipart, framing, query, matching, responses
    dicom/      bytes of PS3.5 and PS3.10: header (peek), elements (walk), frames, metadata, native, tables (of pydicom);
                composing, encoding: back from DICOM JSON to bytes     patching: some attributes of a file exchanged
    errors      one tree; each error knows its HTTP status

Imports go down this list and never up; import-linter holds the house to it (pyproject.toml).

One store request, followed through it: `server` accepts a connection and aiohttp reads the headers. `web.middleware` names the
request and checks who sends it; `web.stow` looks at the Content-Type and wraps the socket's chunks into a `streams.Intake`.
`backends.local.LocalStore.store` asks the intake for uploads. That pulls chunks through `dicomweb.multipart.Scanner`;
`dicom.header.peek` reads the UIDs from the first bytes of each part. `local.receive` gathers the pieces and hands them to a
thread, which writes, walks (`dicom.elements.Walk`), hashes and syncs the file. When the request has ended,
`local.writer` renames all files into place, syncs the folder and commits the rows, together with those of other requests.
Only then `dicomweb.responses` makes the answer. A slow disk slows this chain down to the sender's socket, and nothing piles up.
"""
