"""Recorded drives sent as a tracker would send them, with a ledger that proves what arrived.

ved_fleet.py       which IMEI and VIN each recorded vehicle has
ved_recording.py   recordings on disk: archives or folders, trips in the order of their time
ved_mapping.py     rows of a recording → record columns
ved_source.py      one recorded vehicle as encoded blocks
ved_offset.py      by how many days `--end-now` moves the recordings
ved_oracles.py     what the twelve recordings hold, measured on the files themselves
ledger.py          what was sent and what was acknowledged, on disk before it is on the wire
sender.py          sources → ledger → devices, all in one event loop
progress.py        counters of a running replay
registration.py    the sources' devices in the registry
stored.py          identities as the stores hold them
reconciliation.py  ledger against stores, both directions
"""
