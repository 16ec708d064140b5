"""Training on several hosts: who they are, how they keep in step, what they add up together."""
