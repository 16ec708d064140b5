"""Mutated pictures through detect_objects: each must end as a document, detected or rejected."""
