"""`python -m bench` runs them all; `python -m bench.chain` and `python -m bench.gpu_idle` run one."""

import subprocess
import sys

BENCHMARKS = ("chain", "gpu_idle", "claim_cost", "first_picture", "ingest")


def main() -> int:
    """The worst exit code of all."""
    return max(subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode for name in BENCHMARKS)


if __name__ == "__main__":
    sys.exit(main())
