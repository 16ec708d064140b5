"""The embedded cloud: an AWS emulator on 127.0.0.1 with SageMaker as a plug-in that runs the containers' own code."""
