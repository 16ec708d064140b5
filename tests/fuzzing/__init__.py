"""What the three fuzzers share: child processes that are given cases, and the command around them."""
