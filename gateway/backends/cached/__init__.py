"""Answers that are kept: a `Backend` around a `Backend`.

    cached       the Backend: what is looked for where, and when something may be kept
    keys         a question as a key, and what is kept of which: answers of origins, what was made of pixels
    generations  stamps of stores and studies, shared by all workers: a write makes them new
    coalescing   who asks the same at the same time gets the same answer
    growing      an answer that is still arriving, and those who read it meanwhile
    arriving     gets a body from the disk tier or from behind, and turns it into an entry
    entries      what is kept, and bodies made of it
    memory       the tier of one process
    disk         the tier that all workers share      files  index   its files, and the list of them

Rules:
1. A key is what is asked, of which store, and what the caller may see. Nothing of a URL, of a host, or of the base URL is in it.
2. Stamps are read before the store behind is asked. An entry answers only while its stamp is the current one, and only whoever
   read that same stamp joins a call that is under way. A write makes new stamps before it begins and again when it has ended,
   however it ends. So what was acknowledged is in every later answer, in every worker.
3. What others write behind our back shows after `ttl` seconds at the latest.
4. What breaks off, or was got while somebody wrote, is kept for nobody. An error is never kept.
5. A caller who leaves takes nobody with him: the call ends when the last one has left.
6. Memory and disk are bounded in bytes. An answer that does not fit passes through, no faster than its slowest reader.
"""
