"""The secret that a chat shows when somebody makes a robot there: any text, as long as it can be one."""

from __future__ import annotations

from factory.errors import Invalid, Problem

LONGEST = 200


def check_robot_secret(secret: str) -> None:
    """Raises Invalid."""
    if not 8 <= len(secret) <= LONGEST or not secret.isascii() or not secret.isprintable() or " " in secret:
        message = f"secret must be the 8 … {LONGEST} characters that the robot's page shows"
        raise Invalid(None, Problem("invalid_secret", message, "/secret"))
