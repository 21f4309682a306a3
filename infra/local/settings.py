"""Where the local platform listens and keeps its state (`PORT=` moves all of it), and whether the
emulator enforces IAM (`IAM=off` switches it off)."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]
DEFAULT_PORT = 4500
REGION = "us-east-1"
ASSETS_BUCKET = "agentic-local-assets"

Iam = Literal["enforced", "off"]


@dataclass(frozen=True)
class Settings:
    port: int
    iam: Iam = "enforced"

    @classmethod
    def from_environment(cls) -> "Settings":
        return cls(int(os.environ.get("PORT", DEFAULT_PORT)), _iam(os.environ.get("IAM")))

    @property
    def enforces_iam(self) -> bool:
        return self.iam == "enforced"

    @property
    def aws_port(self) -> int:
        return self.port + 1

    @property
    def simulator_port(self) -> int:
        return self.port + 2

    @property
    def redis_port(self) -> int:
        return self.port + 3

    @property
    def ports(self) -> dict[str, int]:
        return {
            "front door": self.port,
            "AWS emulator": self.aws_port,
            "model simulator": self.simulator_port,
            "Redis": self.redis_port,
        }

    @property
    def directory(self) -> Path:
        """`.local`, or a folder in it for a platform on another port."""
        home = ROOT / ".local"
        return home if self.port == DEFAULT_PORT else home / f"port-{self.port}"

    @property
    def platform_file(self) -> Path:
        return self.directory / "platform.json"

    @property
    def routes_file(self) -> Path:
        """Path pattern → the deployed API that serves it, as the front door reads it."""
        return self.directory / "routes.json"

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def aws_url(self) -> str:
        return f"http://127.0.0.1:{self.aws_port}"

    @property
    def simulator_url(self) -> str:
        return f"http://127.0.0.1:{self.simulator_port}"

    @property
    def aws_environment(self) -> dict[str, str]:
        """For SDKs and the CDK CLI: the emulator, and never a real account."""
        return {
            "AWS_ENDPOINT_URL": self.aws_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_SESSION_TOKEN": "",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CDK_DISABLE_CLI_TELEMETRY": "true",
        }


def _iam(chosen: str | None) -> Iam:
    if chosen not in (None, "enforced", "off"):
        raise SystemExit("IAM= is either enforced or off")
    return "off" if chosen == "off" else "enforced"
