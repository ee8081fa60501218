"""Settings that all tests share."""

import hypothesis

# Two busy cores: how long an example takes says nothing, so only the tests' own time-outs count.
hypothesis.settings.register_profile("lyncgate", deadline=None)
hypothesis.settings.load_profile("lyncgate")
