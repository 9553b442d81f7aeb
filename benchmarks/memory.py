"""The most memory that a server had at one time (Linux: proc(5))."""

from pathlib import Path


def forget_peak(process_id: int) -> None:
    """Begin anew; what may not be forgotten stays."""
    try:
        Path(f"/proc/{process_id}/clear_refs").write_text("5")
    except OSError:  # somebody else's process
        return


def peak_mib(process_id: int) -> float:
    """Most resident memory since `forget_peak`, or since the process began."""
    status = Path(f"/proc/{process_id}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
