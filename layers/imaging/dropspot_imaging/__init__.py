"""Pictures of any kind made into what a detector takes: an upright three-channel JPEG."""
