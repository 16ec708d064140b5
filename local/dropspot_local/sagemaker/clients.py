"""boto3 clients of the embedded cloud itself, for the plug-in's own traffic.

Objects and log lines go through the cloud's HTTP interface, so what they cause (S3 events, say) is caused for real.
"""

from __future__ import annotations

import threading
from typing import Any

import boto3
from botocore.config import Config

from dropspot_local.sagemaker.authorization import Credentials
from dropspot_local.sagemaker.state import Site

_creating = threading.Lock()  # a boto3 session is not safe for threads while it makes a client


class Clients:
    """Lazily made clients of one identity."""

    def __init__(self, site: Site, credentials: Credentials) -> None:
        self._site, self._credentials = site, credentials
        self._clients: dict[str, Any] = {}

    def __getitem__(self, service: str) -> Any:
        with _creating:
            if service not in self._clients:
                self._clients[service] = boto3.Session(
                    aws_access_key_id=self._credentials.access_key,
                    aws_secret_access_key=self._credentials.secret_key,
                    aws_session_token=self._credentials.session_token,
                    region_name=self._site.region,
                ).client(
                    service,
                    endpoint_url=self._site.endpoint_url,
                    config=Config(
                        connect_timeout=5,
                        read_timeout=60,
                        max_pool_connections=32,
                        retries={"total_max_attempts": 4, "mode": "standard"},
                        s3={"addressing_style": "path"},
                    ),
                )
            return self._clients[service]
