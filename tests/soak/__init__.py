"""The deployed stack under load and under faults: every image must end as exactly one correct document."""
