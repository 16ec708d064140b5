"""SageMaker for the embedded cloud: jobs and endpoints that run the containers' code as supervised processes."""
