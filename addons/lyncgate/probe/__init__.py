"""The probe: walks a sign-in's stages as a client would, against a deployment, and says what it saw."""
