"""An open single-shot detector with the interface of SageMaker's built-in Object Detection.

Train, serve, artifacts, metric lines.
"""

__version__ = "0.1.0"
