"""`lyncgate serve` as processes: one that never serves and so never fails, workers that do, and an admin."""
