"""lyncgate beside its peers: the same work in one run, turn by turn. See __main__."""
