"""The `dropspot` command: the operator's side of the pipeline, the same on the embedded cloud and on AWS."""
