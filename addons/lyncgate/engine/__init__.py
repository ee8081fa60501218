"""How bytes move: master, listeners, layers, reload, drain."""
