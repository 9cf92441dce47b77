"""What deploy/ holds, as far as it can be checked without a cluster or a registry."""

from pathlib import Path

DEPLOY = Path(__file__).parents[2] / "deploy"
