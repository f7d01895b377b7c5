"""A workload in Python, which gets its identity from the agent at SPIFFE_ENDPOINT_SOCKET with the spiffe library.

Its jobs are those of every language; see the README of the folder above.
"""

import sys
import warnings

import check
import mtls

# spiffe-tls reads the source through properties that spiffe has deprecated since.
warnings.filterwarnings("ignore", category=DeprecationWarning, module="spiffetls")


def main(args: list[str]) -> None:
    sys.stdout.reconfigure(line_buffering=True)
    match args:
        case ["refused"]:
            check.refused()
        case ["check", spiffe_id]:
            check.check(spiffe_id)
        case ["serve", address, allowed]:
            mtls.serve(address, allowed)
        case ["call", address, expected, count, interval]:
            mtls.call(address, expected, int(count), int(interval))
        case _:
            raise SystemExit(
                "usage: workload.py refused | check ID | serve ADDRESS ALLOWED_ID"
                " | call ADDRESS EXPECTED_ID COUNT INTERVAL_MS"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
