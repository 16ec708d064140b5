"""Requests with mutated pictures, posted to the server's application with a real model behind it."""
