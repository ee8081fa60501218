"""The journal: events and the sign-ins stitched from them, in SQLite. docs/journal.md says what is kept.

writer      Journal: takes events from the event loop, a thread writes them
stitching   events → sign-ins and findings, by the one writer that holds the lease
store       the SQL of writing, and of making room
rows        a sign-in as a row
reader      Reader: lists, one sign-in, what is new; beside writers, from any process
follow      files that others write: DNS log, traces; `tail` reads them as they grow
schema      tables, and what becomes of a file that is none of ours, newer, or damaged
key         the key of the hashes, beside the journal
observer    what the journal tells of itself
"""
