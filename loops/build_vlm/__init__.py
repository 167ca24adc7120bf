"""Models made of pretrained parts: a vision tower and a language model joined by a trained projector, and a verifier's
encoder joined by two linear maps."""
