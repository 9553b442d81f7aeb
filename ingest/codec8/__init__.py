"""Teltonika's protocol as pure values: bytes in, records and events out; no input, output, clock or log.

records.py         what a packet says: AVL records, IO elements, commands
errors.py          the ways in which bytes can be wrong (`Reason`) and the exceptions that carry them
frames.py          the envelopes: TCP frame, UDP datagram, login; limits; cyclic redundancy check
decoding.py        bytes → values
encoding.py        values → bytes
receive_buffer.py  bytes that have arrived and are not yet understood
connection.py      server side: what a device's TCP stream means, event by event
session.py         device side: login, send, await the acknowledgement

Source: the vendor's "Teltonika Data Sending Protocols" page; where devices in the field differ from it, the
code says so beside the check.
"""
