"""What the operator wrote: model, loading, decide(), explain(). Pure: no I/O, no mitmproxy."""
