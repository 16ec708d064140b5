"""What dropspot's functions and containers share: the run, the plan, events, requests and the AWS adapters."""

__version__ = "0.1.0"
