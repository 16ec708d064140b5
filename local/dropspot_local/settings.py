"""Where the embedded cloud is, and the environment that its server needs."""

from __future__ import annotations

import os
from pathlib import Path

from dropspot_local import processes

HOST = "127.0.0.1"
REGION = "us-east-1"
ACCOUNT = "000000000000"
ADMINISTRATOR_KEY = "test"
"""Access key and secret of the account's root user, which ministack's IAM allows everything."""


def server_environment(state: Path, port: int) -> dict[str, str]:
    """What ministack reads from its environment, plus the mark that every process below inherits."""
    temporary = state / "tmp"
    return {
        "AUTH": "true",  # enforce execution roles' policies
        "AWS_ACCESS_KEY_ID": ADMINISTRATOR_KEY,
        "AWS_SECRET_ACCESS_KEY": ADMINISTRATOR_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,  # handlers inherit this: the operator's own settings are none of their business
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",  # it would listen on 0.0.0.0:8883
        "SFTP_ENABLED": "0",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_HOST": HOST,
        "MINISTACK_REGION": REGION,
        "S3_DATA_DIR": str(temporary / "s3"),
        "STATE_DIR": str(temporary / "ministack"),
        "TMPDIR": str(temporary),
        **processes.mark(state),
    }
